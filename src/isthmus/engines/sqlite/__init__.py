"""The default engine: one SQLite file, shared by the processes of one machine.

sqlite:///shop.db                       in the working folder
sqlite:////var/lib/shop/shop.db         an absolute path
?durability=full|normal                 see Address
?busy_timeout=5                         see Address

queue, log, store       the contracts
lanes/, records/        what queue and log do in the database
database/               writing in groups, reading, transactions as scripts
processes/              what the processes of one file owe each other
"""

from isthmus.clock import Clock
from isthmus.contracts import Engine, OpenEngine
from isthmus.engines.sqlite import log, queue, store
from isthmus.engines.sqlite.address import Address
from isthmus.engines.sqlite.database.database import Database
from isthmus.engines.sqlite.log import SqliteLog
from isthmus.engines.sqlite.queue import SqliteQueue
from isthmus.engines.sqlite.store import SqliteStore

__all__ = ["SqliteEngine", "open_engine"]


class SqliteEngine:
    def __init__(self, database: Database) -> None:
        self._database = database
        self._queue = SqliteQueue(database)
        self._log = SqliteLog(database)
        self._store = SqliteStore(database)

    @property
    def queue(self) -> SqliteQueue:
        return self._queue

    @property
    def log(self) -> SqliteLog:
        return self._log

    @property
    def store(self) -> SqliteStore:
        return self._store

    async def aclose(self) -> None:
        await self._database.aclose()


async def open_engine(url: str, *, clock: Clock) -> Engine:
    address = Address.parse(url)
    tables = [store.TABLES, queue.TABLES, log.TABLES]
    return SqliteEngine(await Database.open(address, clock=clock, tables=tables))


_: OpenEngine = open_engine
