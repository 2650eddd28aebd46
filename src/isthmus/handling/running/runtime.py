"""Everything that runs in one process of an App, from its start to its drain."""

import asyncio
import logging
from collections.abc import Collection, Sequence
from contextlib import suppress
from fnmatch import fnmatchcase

from isthmus.errors import ConfigError, UnavailableError
from isthmus.handling.declarations import Declarations, Worker
from isthmus.handling.host import Host
from isthmus.handling.outbox import needs_outbox
from isthmus.handling.relay import Relay
from isthmus.handling.running import controls
from isthmus.handling.running.controls import Controls, Pausable
from isthmus.handling.running.crew import Crew
from isthmus.handling.running.housekeeping import Housekeeping

__all__ = ["Runtime"]

_log = logging.getLogger("isthmus.runtime")

LEAST = 1.0
"""Seconds that those who keep the house get at least, however long the others took."""


class Runtime:
    """Runs workers on an open Host until `drain`.

    Beside what is declared, every process has workers of its own, whatever `only` says:
    the relay of the outbox, where there is one, housekeeping, and the controls.
    """

    def __init__(
        self,
        declared: Declarations,
        host: Host,
        *,
        only: Sequence[str] = (),
        apart: Collection[str] = (),
        leisure: float = 1.0,
    ) -> None:
        """`only`: names of workers, with wildcards, as ["queue:orders", "stream:*"]; all if empty.
        `apart`: names of workers that are left out. `leisure`: how many times longer than
        usual it may take until the controls look again.

        Raises:
            ConfigError: A name fits no worker.
        """
        self._host = host
        chosen = _chosen(declared.workers, only)
        self._serving = [worker for worker in chosen if worker.name not in apart]
        pausable = [each for each in self._serving if isinstance(each, Pausable)]
        self.controls = Controls(pausable, every=leisure * controls.EVERY)
        self._keeping: list[Worker] = [Housekeeping(), self.controls]
        if needs_outbox(host):
            self._keeping.append(Relay())
        self._stop = asyncio.Event()
        self._failures: list[Exception] = []
        self.ready = asyncio.Event()
        """Set once every worker has begun."""

    async def run(self) -> None:
        """Run until drained.

        A worker that raises ends all: the others are drained, then its error is raised (an
        ExceptionGroup if there are several). What is not done `settings.drain` seconds after
        the drain began is cancelled; messages in hand go back, uncounted.
        """
        with suppress(UnavailableError):  # they look again in a moment
            await self.controls.apply(self._host)
        crews = [Crew(self._host, each, failed=self._fail) for each in self._in_order]
        try:
            await asyncio.sleep(0)
            self.ready.set()
            self._tell()
            await self._stop.wait()
            await self._drain(crews)
        finally:
            for crew in crews:
                await crew.cancel()
        self._raise()

    async def drain(self) -> None:
        """Begin nothing more; `run` returns once what was begun is settled. Twice is once."""
        self._stop.set()

    @property
    def _in_order(self) -> Sequence[Sequence[Worker]]:
        """Who serves, and who keeps the house, which the others may need to the end."""
        return self._serving, self._keeping

    async def _drain(self, crews: Sequence[Crew]) -> None:
        clock = self._host.clock
        end = clock.now() + self._host.settings.drain
        for crew in crews:
            await crew.drain(within=max(LEAST, end - clock.now()))

    def _tell(self) -> None:
        if not self._failures:
            names = ", ".join(worker.name for worker in self._serving)
            _log.info("running %s", names or "nothing: this App declares no worker")

    def _fail(self, error: Exception) -> None:
        self._failures.append(error)
        self._stop.set()

    def _raise(self) -> None:
        if len(self._failures) > 1:
            raise ExceptionGroup("several workers failed", self._failures)
        if self._failures:
            raise self._failures[0]


def _chosen(workers: Sequence[Worker], only: Sequence[str]) -> Sequence[Worker]:
    names = [worker.name for worker in workers]
    for pattern in only:
        if not any(fnmatchcase(name, pattern) for name in names):
            raise ConfigError(
                f"no worker is called {pattern!r}; there are: {', '.join(names) or 'none'}"
            )
    if not only:
        return list(workers)
    return [each for each in workers if any(fnmatchcase(each.name, pattern) for pattern in only)]
