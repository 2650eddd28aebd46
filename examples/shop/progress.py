"""A bar for people who watch, a few lines for a log."""

import asyncio
import sys
from types import TracebackType
from typing import Self

WIDTH = 40


class Progress:
    """How far `what` has come, of `total`."""

    def __init__(self, what: str, total: int) -> None:
        self._what, self._total, self._done = what, total, 0
        self._marks: list[tuple[float, asyncio.Event]] = []
        self._live = sys.stdout.isatty()
        self._drawn = -1

    def __enter__(self) -> Self:
        self._draw()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live:
            print()

    def step(self) -> None:
        """One more is done."""
        self.to(self._done + 1)

    def to(self, done: int) -> None:
        """So many are done."""
        self._done = done
        for share, event in self._marks:
            if done >= share * self._total:
                event.set()
        self._draw()

    async def reached(self, share: float) -> None:
        """Wait until `share` of the total is done."""
        event = asyncio.Event()
        self._marks.append((share, event))
        await event.wait()

    def note(self, text: str) -> None:
        """Say something without disturbing the bar."""
        clear = "\r\033[K" if self._live else ""
        print(f"{clear}  {text}", flush=True)
        self._drawn = -1
        self._draw()

    def _draw(self) -> None:
        percent = 100 * self._done // max(1, self._total)
        step = 1 if self._live else 25
        if percent // step == self._drawn:
            return
        self._drawn = percent // step
        bar = "█" * (WIDTH * percent // 100)
        end = "" if self._live else "\n"
        line = f"{self._what:<14} {bar:<{WIDTH}} {self._done:>5} of {self._total}"
        print(("\r" if self._live else "") + line, end=end, flush=True)
