"""The reference engine: dictionaries and heaps, in one process, on any clock.

Read it to learn what the contracts mean. memory:// is a database of its own
with every opening; memory://name is the same one for all who open that name,
until the last of them closes it.
"""

import itertools

from isthmus.clock import Clock
from isthmus.contracts import Engine, OpenEngine
from isthmus.engines.memory.database import Connection, Database
from isthmus.engines.memory.log import MemoryLog
from isthmus.engines.memory.queue import MemoryQueue
from isthmus.engines.memory.store import MemoryStore
from isthmus.errors import ConfigError

__all__ = ["MemoryEngine", "open_engine"]

_named: dict[str, Database] = {}
_unnamed = itertools.count(1)


class MemoryEngine:
    def __init__(self, database: Database, *, clock: Clock) -> None:
        self._connection = Connection(database, clock=clock)
        self._queue = MemoryQueue(self._connection)
        self._log = MemoryLog(self._connection)
        self._store = MemoryStore(self._connection)

    @property
    def queue(self) -> MemoryQueue:
        return self._queue

    @property
    def log(self) -> MemoryLog:
        return self._log

    @property
    def store(self) -> MemoryStore:
        return self._store

    async def aclose(self) -> None:
        self._connection.close()
        database = self._connection.database
        if not database.connections:
            _named.pop(database.scope, None)


async def open_engine(url: str, *, clock: Clock) -> Engine:
    return MemoryEngine(_database(url), clock=clock)


def _database(url: str) -> Database:
    name = url.partition("://")[2]
    if "?" in name:
        raise ConfigError(f"{url}: memory:// has no options; write memory:// or memory://name")
    if not name:
        return Database(f"memory://#{next(_unnamed)}")
    return _named.setdefault(url, Database(url))


_: OpenEngine = open_engine
