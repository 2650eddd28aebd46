"""One engine's way to its database: on its clock, until it is closed."""

from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Any, TypeVar

from isthmus.clock import Clock, ManualClock
from isthmus.contracts import Durability, Transaction, Tx
from isthmus.engines.postgres.address import Address
from isthmus.engines.postgres.database.adopted import AdoptedTransaction
from isthmus.engines.postgres.database.channels import Channels
from isthmus.engines.postgres.database.faults import told
from isthmus.engines.postgres.database.grade import Grade
from isthmus.engines.postgres.database.guest import guest_of
from isthmus.engines.postgres.database.listener import Listener
from isthmus.engines.postgres.database.migrations import Migration, upgrade
from isthmus.engines.postgres.database.pools import Pools
from isthmus.engines.postgres.database.steps import Call, Step, selection
from isthmus.engines.postgres.database.timing import Timing
from isthmus.engines.postgres.database.transaction import PostgresTransaction
from isthmus.errors import ConfigError, UnavailableError
from isthmus.signals import Signals

__all__ = ["Database"]

T = TypeVar("T")

PATIENCE = 5.0
"""Seconds after which whoever waits looks again, should a notification have been lost."""


_LAZILY = "set_config('synchronous_commit', 'off', true)"


class Database:
    def __init__(self, address: Address, *, clock: Clock) -> None:
        self._address = address
        self._clock = clock
        self._timing = Timing(clock)
        self._closed = False
        self._channels = Channels()
        self.pools = Pools(address)
        self._listener = Listener(
            self.pools.connect, self._channels, check=self._timing.measure, timeout=address.timeout
        )
        if isinstance(clock, ManualClock):
            clock.attend(self._is_owed)
        self._finishing: list[Callable[[], Awaitable[None]]] = []
        self.signals = Signals()
        """What the engine tells; an App hears it."""
        self.identity = ""
        """What this database alone says of itself."""
        self.durability: Durability = "disk"

    @classmethod
    async def open(
        cls, address: Address, *, clock: Clock, migrations: Sequence[Migration]
    ) -> "Database":
        database = cls(address, clock=clock)
        try:
            await database._open(migrations)
        except BaseException:
            await database.aclose()
            raise
        return database

    async def _open(self, migrations: Sequence[Migration]) -> None:
        with told():
            first = await self.pools.connect()
            try:
                await upgrade(first, migrations)
                grade = await Grade.of(first)
                self.identity = await first.fetchval("SELECT id::text FROM isthmus.identity")
            finally:
                await first.close()
            self.durability = grade.durability(full=self._address.durable)
            await self.pools.open(settings=grade.settings(full=self._address.durable))
            await self._listener.open()

    def _is_owed(self) -> bool:
        """Whether the server has to answer yet: virtual time stands still until it does."""
        return not self._closed and (self.pools.owed > 0 or not self._listener.idle)

    @property
    def scope(self) -> str:
        return self._address.scope

    @property
    def closed(self) -> bool:
        return self._closed

    def now(self) -> float:
        """The moment; UnavailableError once the engine is closed."""
        self.require_open()
        return self._timing.now()

    def require_open(self) -> None:
        if self._closed:
            raise UnavailableError(f"the engine {self.scope} is closed")

    # --- asking

    async def rows(self, sql: str, *values: Any) -> list[Any]:
        self.require_open()
        async with self.pools.ours() as connection:
            return await connection.fetch(sql, *values)

    async def value(self, sql: str, *values: Any) -> Any:
        self.require_open()
        async with self.pools.ours() as connection:
            return await connection.fetchval(sql, *values)

    async def call(self, call: Call, *, lazy: bool = False) -> Any:
        """Make one call, committed when it returns; if `lazy`, a crash of the server may undo
        the last half second of them."""
        sql, values = selection([call])
        return await self.value(f"{sql}, {_LAZILY}" if lazy else sql, *values)

    async def finish(self, step: Step, *, lazy: bool = False) -> Any:
        """Take the step, and return its answer, though the engine may be closing."""
        sql, values = selection([step.call(self._timing.now())])
        async with self.pools.ours() as connection:
            answer = await connection.fetchval(f"{sql}, {_LAZILY}" if lazy else sql, *values)
        self.tell(step.channels)
        return answer

    async def together(self, work: Callable[[Any], Awaitable[T]]) -> T:
        """Run `work` in a transaction of its own on one connection."""
        self.require_open()
        async with self.pools.ours() as connection, connection.transaction():
            return await work(connection)

    # --- transactions

    def begin(self) -> Transaction:
        self.require_open()
        return PostgresTransaction(self)

    def adopt(self, connection: object) -> Transaction:
        self.require_open()
        return AdoptedTransaction(self, guest_of(connection))

    def own(self, tx: Tx) -> PostgresTransaction | AdoptedTransaction:
        """Raises: ConfigError: It is none of this database's, or has ended."""
        self.require_open()
        if not isinstance(tx, PostgresTransaction | AdoptedTransaction) or tx.scope != self.scope:
            scope = getattr(tx, "scope", tx)
            raise ConfigError(
                f"the transaction is one of {scope!r}, this engine's scope is {self.scope!r}: "
                "begin it with the store of this engine"
            )
        tx.require_open()
        return tx

    async def apply(self, step: Step, tx: Tx = None) -> Any:
        """Take the step now, and return its answer; or when `tx` commits."""
        if tx is not None:
            return await self.own(tx).stage(step)
        answer = await self.call(step.call(self.now()))
        self.tell(step.channels)
        return answer

    # --- waiting

    def tell(self, channels: Collection[int]) -> None:
        """Have those look again who wait for these."""
        if channels:
            self._listener.tell(channels)

    def wake(self, number: int) -> None:
        """Have those of this engine look again."""
        self._channels.fire(number)

    async def until(
        self, probe: Callable[[], Awaitable[tuple[T | None, float]]], *, channel: int, wait: float
    ) -> T | None:
        """The one place that waits: for a change, the next due moment, or the end.

        `probe` returns what it found and, if that is None, when to look again at latest. Returns
        the first that is not None; None once `wait` is over.
        """
        end = self.now() + wait
        while True:
            change = self._channels.next(channel)
            found, due = await probe()
            now = self.now()
            if found is not None or now >= end:
                return found
            if await self._listener.note(channel):
                continue
            with self._channels.waiting(channel):
                await self._clock.wait(change, max(0.0, min(end, due, now + PATIENCE) - now))

    # --- ending

    def finish_with(self, finish: Callable[[], Awaitable[None]]) -> None:
        """Await `finish` before the engine lets go of the database."""
        self._finishing.append(finish)

    async def aclose(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._channels.fire_all()
        for finish in self._finishing:
            await finish()
        await self._listener.aclose()
        await self.pools.aclose()
