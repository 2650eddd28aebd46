"""A place that is never empty: when its process dies, another takes it."""

import asyncio
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

__all__ = ["Place", "Seat"]


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Processes that are alike."""

    name: str
    command: Sequence[str]
    count: int = 1
    """How many run at once."""
    folder: Path | None = None
    """Where they run; None is here."""
    environment: Mapping[str, str] | None = None
    """None is that of this process."""
    ends: bool = False
    """Whether one that ends by itself, with status 0, is done, and not begun again."""


class Seat:
    """One of the processes of a place, and those that follow it."""

    def __init__(self, place: Place, number: int, *, log: Path) -> None:
        self._place = place
        self.name, self.ends, self.log = f"{place.name}-{number}", place.ends, log
        self._process: asyncio.subprocess.Process | None = None
        self._task: asyncio.Task[None] | None = None
        self._leaving = self._killed = False
        self.begun = 0
        """How many processes sat here."""
        self.exits: list[int] = []
        """The status of each that ended; minus the signal, if one ended it."""

    def sit(self) -> None:
        """Have a process here, from now on."""
        self._task = asyncio.create_task(self._keep())

    @property
    def done(self) -> bool:
        """Whether nobody will sit here any more."""
        return self._task is None or self._task.done()

    @property
    def pid(self) -> int:
        """Of the process that runs here; 0 if none does, or it was killed."""
        if self._process is None or self._process.returncode is not None or self._killed:
            return 0
        return self._process.pid

    def send(self, number: signal.Signals) -> int:
        """Send a signal; return the pid that got it, 0 if there was none."""
        pid = self.pid
        if pid and self._process is not None:
            self._process.send_signal(number)
            self._killed = number is signal.SIGKILL
        return pid

    async def leave(self, *, within: float) -> None:
        """Have the process drain; kill it if that takes longer."""
        self._leaving = True
        self.send(signal.SIGTERM)
        if self._task is not None:
            _, late = await asyncio.wait([self._task], timeout=within)
            if late:
                self.send(signal.SIGKILL)
            await self._task

    async def _keep(self) -> None:
        while not self._leaving:
            status = await self._run()
            self.exits.append(status)
            if self._place.ends and status == 0:
                return

    async def _run(self) -> int:
        with self.log.open("ab") as log:
            process = self._process = await asyncio.create_subprocess_exec(
                *self._place.command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self._place.folder,
                env=self._place.environment,
            )
        self._killed = False
        self.begun += 1
        if self._leaving:
            process.terminate()
        return await process.wait()
