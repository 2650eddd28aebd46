"""The default engine: one SQLite file, shared by the processes of one machine.

    sqlite:///shop.db                       in the working folder
    sqlite:////var/lib/shop/shop.db         an absolute path
    ?durability=full|normal                 see Address
    ?busy_timeout=5                         see Address

    database                write, merge, read, wait: what the three contracts stand on
      writer, reader        threads: group commit; reading the last commit
      script, transaction   a handler's transaction, played by the writer
      adopted, guest        a transaction that is the user's own
      wakes, post, watch    who waits for what; letters between processes; strangers
      turn, checkpoints     one writing process at a time; the write-ahead log
    queue, log, store       the contracts
      lanes, leases         where messages lie, and how ranges of them are held
      sends, claims         into the lanes, and out of them
      receiver, settlement  one taker, what it holds (held) and what it says of it
      survey, clearing      looking without taking; dropping what nobody holds
      records, retention    where records lie; what a log lets go (upkeep)
      groups, member        who reads which partition, and how far

`Database` is the border: what is above it knows no thread and no lock.
"""

from isthmus.clock import Clock
from isthmus.contracts import Engine, OpenEngine
from isthmus.engines.sqlite import log, queue, store
from isthmus.engines.sqlite.address import Address
from isthmus.engines.sqlite.database import Database
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
