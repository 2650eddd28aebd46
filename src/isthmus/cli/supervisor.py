"""Several processes of one app: begun, kept alive, ended together.

supervisor ─┬─ worker 1    one listening socket, opened here, shared by all;
            ├─ worker 2    a worker that dies is begun again, after a wait
            └─ worker 3    that doubles while it keeps dying
"""

import asyncio
import contextlib
import logging
import os
import signal
import socket
from collections.abc import AsyncIterator, Mapping, Sequence

from isthmus.cli.patience import Patience
from isthmus.cli.process import SUPERVISED

__all__ = ["HOPELESS", "Supervisor"]

HOPELESS = 78
"""Exit status of a worker that says that beginning it again won't help.

Source: EX_CONFIG of sysexits.h."""

SHORTEST, LONGEST = 0.5, 30.0
"""Seconds before a dead worker is begun again: the first time, and at most."""
STEADY = 30.0
"""Seconds a worker lives to count as healthy: its next death is a first one."""
GRACE = 5.0
"""Seconds beyond the drain time after which a worker that still runs is killed."""

_log = logging.getLogger("isthmus.supervisor")


class Supervisor:
    """Keeps `workers` processes of `command` running until it is told to stop."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        workers: int,
        drain: float,
        listener: socket.socket | None,
        changes: AsyncIterator[str] | None = None,
    ) -> None:
        """`changes` yields what changed, for processes to be begun anew."""
        self._command, self._drain, self._listener = command, drain, listener
        self._changes = changes
        self._stopping = asyncio.Event()
        self._failed, self._patience = False, Patience()
        self._workers = [_Worker(self, number) for number in range(1, workers + 1)]

    async def run(self) -> int:
        """Return the exit status: 0, or 1 if the app cannot run at all."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._on_signal)
        async with asyncio.TaskGroup() as group:
            watching = group.create_task(self._watch())
            for worker in self._workers:
                group.create_task(worker.keep())
            await self._stopping.wait()
            watching.cancel()
        return int(self._failed)

    @property
    def stopping(self) -> asyncio.Event:
        return self._stopping

    @property
    def reloads(self) -> bool:
        return self._changes is not None

    def give_up(self) -> None:
        """End all: a worker says that the app cannot run."""
        self._failed = True
        self._stop()

    async def spawn(self, number: int) -> asyncio.subprocess.Process:
        """Begin worker `number`, out of the terminal's reach: its signals come from here."""
        fds = () if self._listener is None else (self._listener.fileno(),)
        return await asyncio.create_subprocess_exec(
            *self._command,
            stdin=asyncio.subprocess.PIPE,
            env=self._environment(number),
            pass_fds=fds,
            process_group=0,
        )

    async def end(self, process: asyncio.subprocess.Process) -> None:
        """Have `process` drain; kill it if it does not end in its time."""
        _signal(process, signal.SIGTERM)
        try:
            async with asyncio.timeout(self._drain + GRACE):
                await process.wait()
        except TimeoutError:
            _log.error("process %d did not end in time and is killed", process.pid)
            _signal(process, signal.SIGKILL)
            await process.wait()

    def _environment(self, number: int) -> Mapping[str, str]:
        given = {SUPERVISED: str(number)}
        if self._listener is not None:
            given["ISTHMUS_LISTENER"] = str(self._listener.fileno())
        return {**os.environ, **given}

    def _on_signal(self) -> None:
        if self._patience.is_over(asyncio.get_running_loop().time()):
            _log.warning("told to stop again: killing the workers")
            for worker in self._workers:
                worker.kill()
        self._stop()

    def _stop(self) -> None:
        if self._listener is not None:
            self._listener.close()  # else clients would wait for nobody
        self._stopping.set()

    async def _watch(self) -> None:
        if self._changes is None:
            return
        async for change in self._changes:
            _log.info("%s changed: reloading", change)
            for worker in self._workers:
                worker.renew()


class _Worker:
    """One place, and the processes that fill it one after the other."""

    def __init__(self, supervisor: Supervisor, number: int) -> None:
        self._supervisor, self._number = supervisor, number
        self._process: asyncio.subprocess.Process | None = None
        self._renewed = asyncio.Event()
        self._wait = SHORTEST

    async def keep(self) -> None:
        """Have a process run until the supervisor stops."""
        loop = asyncio.get_running_loop()
        while not self._supervisor.stopping.is_set():
            self._renewed.clear()
            began = loop.time()
            process = self._process = await self._supervisor.spawn(self._number)
            _log.debug("worker %d is process %d", self._number, process.pid)
            status = await self._until_over(process)
            if status is not None:
                await self._after(status, lived=loop.time() - began)

    def renew(self) -> None:
        """End the process and begin another, at once."""
        self._wait = SHORTEST
        self._renewed.set()

    def kill(self) -> None:
        if self._process is not None:
            _signal(self._process, signal.SIGKILL)

    async def _until_over(self, process: asyncio.subprocess.Process) -> int | None:
        """Return the status of a process that ended by itself; None if it was ended."""
        over = asyncio.create_task(process.wait())
        await self._first(over)
        if over.done():
            return over.result()
        await self._supervisor.end(process)
        await over
        return None

    async def _after(self, status: int, *, lived: float) -> None:
        if self._supervisor.reloads:
            _log.error("the app %s; waiting for a change", _told(status))
            return await self._first()
        if status == HOPELESS:
            return self._supervisor.give_up()
        if lived >= STEADY:
            self._wait = SHORTEST
        _log.error(
            "worker %d %s after %.1f s; begun again in %g s",
            self._number,
            _told(status),
            lived,
            self._wait,
        )
        await self._first(timeout=self._wait)
        self._wait = min(LONGEST, 2 * self._wait)

    async def _first(
        self,
        *tasks: "asyncio.Task[int]",
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> None:
        """Wait for the end of one of `tasks`, for a stop, or for a renewal."""
        events = [
            asyncio.create_task(event.wait())
            for event in (self._supervisor.stopping, self._renewed)
        ]
        every = {*tasks, *events}
        await asyncio.wait(every, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        for event in events:
            event.cancel()


def _signal(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    """Send a signal past `process.send_signal`, which takes the status of a process that
    just ended away from who waits for it."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, number)


def _told(status: int) -> str:
    if status < 0:
        return f"was killed by {signal.Signals(-status).name}"
    return f"ended with status {status}"
