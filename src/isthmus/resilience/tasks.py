"""Tasks that a call began end with it."""

import asyncio
from collections.abc import Iterable
from typing import Any

__all__ = ["end"]


async def end(tasks: Iterable[asyncio.Future[Any]]) -> None:
    """Cancel those that still run, and return when none does; what they raise is dropped.

    Who is cancelled meanwhile still waits for them, and is cancelled then.
    """
    cancelled: asyncio.CancelledError | None = None
    every = list(tasks)
    while running := [task for task in every if not task.done()]:
        for task in running:
            task.cancel()
        try:
            await asyncio.wait(running)
        except asyncio.CancelledError as error:
            cancelled = error
    for task in every:
        if not task.cancelled():
            task.exception()  # seen, so that asyncio does not report it as forgotten
    if cancelled is not None:
        raise cancelled
