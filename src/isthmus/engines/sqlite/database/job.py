"""What the writer is asked to do, as it lies in its queue."""

import asyncio
from typing import Any

__all__ = ["COMMIT", "LAST", "LOOK", "MERGE", "STEP", "WRITE", "Job"]

WRITE, MERGE, COMMIT, LAST, STEP, LOOK = range(6)

Job = tuple[asyncio.Future[Any], int, Any, Any, bool]
"""Future, kind, and by kind:

    WRITE   a Work
    LAST    a Work that sees what all others of its group have written
    MERGE   a MergedWork, an item
    COMMIT  a Script
    STEP    a Script, the Work that is its next line
    LOOK    nothing: tell whether others have committed

and whether it is lazy. A tuple, since 256 callers make one each in every turn.
"""
