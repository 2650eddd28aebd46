"""An engine that fails by script, with the contracts of the one it wraps.

    chaos = Chaos.seeded(7, rate=0.2)
    engine = Chaotic(await connect("memory://"), chaos)
    ...
    Chaos(chaos.played)                # does the same to the same calls

Chaos never breaks a contract: it does what networks and processes do, within
what the contracts allow. What is built on them must keep its own promises.
"""

from isthmus.contracts import Engine, LogEngine, QueueEngine, StoreEngine
from isthmus.testing.chaos.log import ChaoticLog
from isthmus.testing.chaos.queue import ChaoticQueue
from isthmus.testing.chaos.script import Chaos, Fault
from isthmus.testing.chaos.store import ChaoticStore

__all__ = ["Chaos", "Chaotic", "Fault"]


class Chaotic:
    """`engine`, with the chaos befalling its calls; `aclose` always works."""

    def __init__(self, engine: Engine, chaos: Chaos) -> None:
        self._engine = engine
        self._queue = engine.queue and ChaoticQueue(engine.queue, chaos)
        self._log = engine.log and ChaoticLog(engine.log, chaos)
        self._store = engine.store and ChaoticStore(engine.store, chaos)

    @property
    def queue(self) -> QueueEngine | None:
        return self._queue

    @property
    def log(self) -> LogEngine | None:
        return self._log

    @property
    def store(self) -> StoreEngine | None:
        return self._store

    async def aclose(self) -> None:
        await self._engine.aclose()


_: type[Engine] = Chaotic
