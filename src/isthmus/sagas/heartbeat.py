"""What a long step tells of itself while it runs."""

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

__all__ = ["Heartbeat"]


class Heartbeat:
    """Given to a step's function that has a parameter of this type.

        async def export(order: Order, beat: Heartbeat) -> str:
            for page in range(beat.progress or 0, 100):
                await write(page)
                await beat(page)

    Each call says that the step is alive, and how far it is: what any JSON can say. The next
    attempt, if there is one, finds the last in `progress`. A step with `heartbeat=60` that is
    silent for so many seconds is cancelled, and tried again.
    """

    def __init__(self, progress: bytes | None, *, note: Callable[[bytes], Awaitable[None]]) -> None:
        self.progress: Any = None if progress is None else msgspec.json.decode(progress)
        """What was told last, by whichever attempt; None if nothing was."""
        self.beats = 0
        self._note = note

    async def __call__(self, progress: Any = None) -> None:
        """Say that the step is alive; and keep `progress`, unless it is None."""
        self.beats += 1
        if progress is not None:
            self.progress = progress
            await self._note(msgspec.json.encode(progress))
