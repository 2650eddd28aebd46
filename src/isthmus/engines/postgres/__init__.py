"""PostgreSQL 13 or newer, shared by any number of machines.

postgresql://user:password@host:5432/database
?durability=full|normal&pool_size=8&transactions=20        see Address

queue, log, store       the contracts
slots/, records/, entries/      what each of them does in the database
database/               connections, transactions, waking who waits
schema                  the tables, and how they change
"""

from isthmus.clock import Clock
from isthmus.contracts import Engine, OpenEngine
from isthmus.engines.postgres.address import Address
from isthmus.engines.postgres.database.database import Database
from isthmus.engines.postgres.log import PostgresLog
from isthmus.engines.postgres.queue import PostgresQueue
from isthmus.engines.postgres.schema import MIGRATIONS
from isthmus.engines.postgres.store import PostgresStore
from isthmus.signals import Signals

__all__ = ["PostgresEngine", "open_engine"]


class PostgresEngine:
    def __init__(self, database: Database) -> None:
        self._database = database
        self._queue = PostgresQueue(database)
        self._log = PostgresLog(database)
        self._store = PostgresStore(database)

    @property
    def queue(self) -> PostgresQueue:
        return self._queue

    @property
    def log(self) -> PostgresLog:
        return self._log

    @property
    def store(self) -> PostgresStore:
        return self._store

    @property
    def signals(self) -> Signals:
        """What the engine tells: TransactionHeld."""
        return self._database.signals

    async def aclose(self) -> None:
        await self._database.aclose()


async def open_engine(url: str, *, clock: Clock) -> Engine:
    address = Address.parse(url)
    return PostgresEngine(await Database.open(address, clock=clock, migrations=MIGRATIONS))


_: OpenEngine = open_engine
