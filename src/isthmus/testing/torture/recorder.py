"""Starting and reading the recorder: a process that writes down what it is told.

It answers once the line is with the operating system, so that what was answered
survives every process. A teller may die before it hears the answer: what is told
is told at least once, and a line that comes again is found to come again.
"""

import asyncio
import sys
from collections import Counter
from pathlib import Path
from types import TracebackType
from typing import Self

__all__ = ["Recorder"]

LISTENER = "isthmus.testing.torture.listener"


class Recorder:
    """The process, while the block lasts; it appends the lines it is told to `path`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.port = 0
        self._process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> Self:
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", LISTENER, str(self.path), stdout=asyncio.subprocess.PIPE
        )
        assert self._process.stdout is not None
        self.port = int(await self._process.stdout.readline())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._process is not None
        self._process.terminate()
        await self._process.communicate()

    def told(self) -> Counter[str]:
        """Return the lines, and how often each was told."""
        return Counter(self.path.read_text().splitlines())
