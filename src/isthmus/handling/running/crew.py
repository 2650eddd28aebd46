"""Workers that are started together, and drained together."""

import asyncio
import logging
from collections.abc import Callable, Sequence

from isthmus.errors import ConfigError
from isthmus.handling.declarations import Worker
from isthmus.handling.facts import WorkerCut, WorkerFailed
from isthmus.handling.host import Host

__all__ = ["Crew"]

_log = logging.getLogger("isthmus.runtime")


class Crew:
    """A task for each of `workers`; `failed` is told of every error that ends one."""

    def __init__(
        self, host: Host, workers: Sequence[Worker], *, failed: Callable[[Exception], None]
    ) -> None:
        self._host, self._failed = host, failed
        self._tasks = {
            asyncio.create_task(self._run(each), name=each.name): each for each in workers
        }
        self._done = asyncio.Event()
        for task in self._tasks:
            task.add_done_callback(self._leave)
        if not workers:
            self._done.set()

    async def drain(self, *, within: float) -> None:
        """Have all finish what they began; cancel who takes longer than `within` seconds."""
        for worker in list(self._tasks.values()):
            await self._drain(worker)
        if not await self._host.clock.wait(self._done, within):
            self._tell_cut(within)
        await self.cancel()

    async def cancel(self) -> None:
        """End all now; return when they have let go of what they held."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def _run(self, worker: Worker) -> None:
        try:
            await worker.run(self._host)
        except Exception as error:  # noqa: BLE001 - whoever started the crew raises it
            self._fail(worker, error)

    async def _drain(self, worker: Worker) -> None:
        try:
            await worker.drain()
        except Exception as error:  # noqa: BLE001 - the others are drained all the same
            self._fail(worker, error)

    def _fail(self, worker: Worker, error: Exception) -> None:
        if not isinstance(error, ConfigError):  # that one is for who runs it, in one line
            _log.error("worker %s failed: %r", worker.name, error, exc_info=error)
        self._host.signals.emit(WorkerFailed(name=worker.name, error=repr(error)))
        self._failed(error)

    def _leave(self, task: asyncio.Task[None]) -> None:
        del self._tasks[task]
        if not self._tasks:
            self._done.set()

    def _tell_cut(self, within: float) -> None:
        for worker in self._tasks.values():
            _log.warning(
                "worker %s was not done %.1f s after the drain began and is cut; what it had in "
                "hand is handled again (ISTHMUS_DRAIN gives it more time)",
                worker.name,
                within,
            )
            self._host.signals.emit(WorkerCut(name=worker.name))
