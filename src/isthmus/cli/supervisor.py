"""Several processes of one app: started, kept alive, ended together.

supervisor ─┬─ worker 1    one listening socket, opened here, shared by all;
            ├─ worker 2    for a worker that dies another is started, after a wait
            └─ worker 3    that doubles while it keeps dying
"""

import asyncio
import contextlib
import logging
import os
import signal
import socket
from collections.abc import AsyncIterator, Mapping, Sequence

import click

from isthmus.cli.patience import Patience
from isthmus.cli.process import LENGTH, SUPERVISED

__all__ = ["HOPELESS", "UNOPENED", "Supervisor"]

HOPELESS = 78
"""Exit status of a worker that says that starting another won't help.

Source: EX_CONFIG of sysexits.h."""
UNOPENED = 69
"""Exit status of a worker whose app could not open a resource: if that happens to the
first process of every worker, it is as hopeless.

Source: EX_UNAVAILABLE of sysexits.h."""

SHORTEST, LONGEST = 0.5, 30.0
"""Seconds until another is started for a dead worker: the first time, and at most."""
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
        self._unopened, self._told = set[int](), set[str]()
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

    def could_not_open(self, number: int) -> None:
        """Note that the first process of worker `number` could not open its app."""
        self._unopened.add(number)
        if len(self._unopened) == len(self._workers):
            self.give_up()

    def tell(self, words: str) -> None:
        """Print the error that ended a worker; what others said before only once."""
        if words and (self.reloads or words not in self._told):
            self._told.add(words)
            click.echo(words, err=True)

    async def spawn(self, number: int, line: socket.socket) -> asyncio.subprocess.Process:
        """Start worker `number`, out of the terminal's reach: its signals come from here.
        Its end of `line` is its stdin: it reads our end from it, and writes its last words."""
        fds = () if self._listener is None else (self._listener.fileno(),)
        return await asyncio.create_subprocess_exec(
            *self._command,
            stdin=line.fileno(),
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
        self._wait, self._is_first = SHORTEST, True

    @property
    def _title(self) -> str:
        pid = "none" if self._process is None else self._process.pid
        return f"worker {self._number} (pid {pid})"

    async def keep(self) -> None:
        """Have a process run until the supervisor stops."""
        loop = asyncio.get_running_loop()
        while not self._supervisor.stopping.is_set():
            self._renewed.clear()
            began = loop.time()
            ours, theirs = socket.socketpair()
            with ours:
                with theirs:
                    process = self._process = await self._supervisor.spawn(self._number, theirs)
                _log.info("%s started", self._title)
                status = await self._until_over(process)
                self._supervisor.tell(_last_words(ours))
            if status is not None:
                await self._after(status, lived=loop.time() - began)
            self._is_first = False

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
        if status == UNOPENED and self._is_first:
            self._supervisor.could_not_open(self._number)
        if self._supervisor.stopping.is_set():
            return None
        if lived >= STEADY:
            self._wait = SHORTEST
        _log.error(
            "%s %s after %.1f s; another is started in %g s",
            self._title,
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


def _last_words(line: socket.socket) -> str:
    """Return what a process that ended has said on its way out, mostly nothing."""
    line.setblocking(False)
    try:
        return line.recv(LENGTH).decode(errors="replace")
    except OSError:
        return ""


def _told(status: int) -> str:
    if status < 0:
        return f"was killed by {signal.Signals(-status).name}"
    if status == UNOPENED:
        return "could not open the app"
    return f"ended with status {status}"
