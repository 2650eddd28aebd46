"""Whose turn it is to write, among the processes that share the file."""

import fcntl
import os
from pathlib import Path

__all__ = ["Turn"]


class Turn:
    """A lock on a file beside the database; the kernel serves it in order.

    SQLite's own lock is taken by whoever asks at the right moment: of four
    processes one can starve for a second. Writers of ours queue here first,
    and so only a stranger's transaction can still be in their way.
    """

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o666)

    def __enter__(self) -> None:
        fcntl.flock(self._file, fcntl.LOCK_EX)

    def __exit__(self, *_: object) -> None:
        fcntl.flock(self._file, fcntl.LOCK_UN)

    def close(self) -> None:
        os.close(self._file)
