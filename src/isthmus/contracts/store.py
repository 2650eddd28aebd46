"""The store contract: transactions, and a small versioned key-value.

A Transaction ties the three contracts together: `send`, `settle`, `append`,
group `commit` and `put` take one, and happen when it commits or not at all.
It covers what has its `scope` (one database, named by its URL).

The rule for whoever holds one (a handler, mostly):

1. Beginning costs nothing. What isthmus does with `tx` is staged and applied
   by the commit; only SQL, and reads that must see it, run at once.
2. You may await anything at any time. A transaction never makes another wait
   for your network call: an engine with one writer sets your statements
   aside while you are away, and plays them again when you come back.
3. Every statement, and the commit, sees what all earlier ones saw, as far as
   `isolation` goes; what `get` and `history` saw, always, if it writes. If the
   world moved on so that this cannot be, ConflictError is raised, nothing was
   written, and the handler is run again at once: not a failure, not counted.
4. It ends once. Later use, by a task that outlived the handler, is an error.
5. Engines with many writers hold locks, and one of a bounded number of
   connections, from the first statement to the end: do the slow things first.
   Held over a second, a signal tells you so.
"""

from collections.abc import Awaitable, Mapping, Sequence
from types import TracebackType
from typing import Any, Literal, Protocol, Self

import msgspec

__all__ = [
    "Durability",
    "Entry",
    "Put",
    "StoreCapabilities",
    "StoreEngine",
    "Transaction",
    "Tx",
]

Durability = Literal["memory", "process", "disk", "replicas"]
"""What an acknowledged write survives: nothing, a crash of the process, a loss
of power, the loss of a machine."""


class StoreCapabilities(msgspec.Struct, frozen=True, kw_only=True):
    """What an engine does beyond the floor; asked before each use."""

    scope: str
    """Names the database: engines with an equal scope share transactions."""
    durable: Durability
    shared: bool
    """Other machines see it: safe as inbox and outbox of a fleet."""
    sql: Literal["", "sqlite", "postgresql"]
    """Dialect of `Transaction.execute`; "" if it runs no SQL."""
    isolation: Literal["serializable", "repeatable read", "read committed"]
    """Between two transactions' own SQL. Fences and versions always hold."""
    max_value: int
    """Largest value, in bytes."""


class Transaction(Protocol):
    """All of it, or nothing. Leaves `async with` by commit, or by rollback."""

    @property
    def scope(self) -> str: ...

    async def execute(self, sql: str, /, **parameters: Any) -> int:
        """Run one statement of the user's own, with `:name` parameters; return
        the number of rows it changed (-1 if it was none that changes rows).

        Raises:
            ConflictError: See rule 3; roll back and run again.
            StatementError: The database refused it; only this is undone.
            UnsupportedError: The engine runs no SQL.
        """
        ...

    async def execute_many(self, sql: str, rows: Sequence[Mapping[str, Any]], /) -> int:
        """Run one statement for each of `rows`; return the rows they changed."""
        ...

    async def defer(self, sql: str, /, **parameters: Any) -> None:
        """Run one statement with the commit, or before the next that is answered:
        a round trip less, for rows that nobody asks back. What `execute` would
        raise is raised there, and then nothing of the transaction is kept."""
        ...

    async def fetch(self, sql: str, /, **parameters: Any) -> Sequence[Any]:
        """Run one statement; return its rows as named tuples, maybe none."""
        ...

    async def commit(self) -> None:
        """Apply everything, in the order of the calls; then it is durable.

        Raises:
            ConflictError, LeaseLostError: Nothing was written.
            UnavailableError: It may have been written, or not.
        """

    async def rollback(self) -> None: ...

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


Tx = Transaction | None


class Entry(msgspec.Struct, frozen=True):
    """A value as it is stored. Versions grow with every put, from 1; a key
    that was deleted, or has expired, begins anew."""

    value: bytes
    version: int


class Put(msgspec.Struct, frozen=True):
    """One change: `value=None` deletes, `if_version=0` asks for absence."""

    key: str
    value: bytes | None
    if_version: int | None = None
    ttl: float | None = None
    """Gone after so many seconds; None is never."""


class StoreEngine(Protocol):
    """Transactions, and entries in named spaces."""

    @property
    def capabilities(self) -> StoreCapabilities: ...

    def begin(self, *, attempt: int = 1) -> Transaction:
        """A new transaction; free until it is used. `attempt` counts runs of
        the same work after ConflictError: an engine favours the unlucky."""
        ...

    def adopt(self, connection: object) -> Transaction:
        """Make the user's own open transaction the token: its effects leave
        when *they* commit. `commit` then only applies what is staged. One that is `Lent` is
        used in its own thread only.

        Raises:
            UnsupportedError: Not a connection or session of this database.
        """
        ...

    async def get(self, space: str, keys: Sequence[str], *, tx: Tx = None) -> Mapping[str, Entry]:
        """The entries that exist and have not expired. With `tx`, what it staged
        is not seen, but if it writes, its commit fails if what was seen has
        changed: what only read was true when it read. To expire is no change."""
        ...

    def put(self, space: str, puts: Sequence[Put], *, tx: Tx = None) -> Awaitable[None]:
        """Apply all, in turn, or none.

        Raises:
            ConfigError: A value is larger than `max_value`.
            ConflictError: A version differs; `.subject` is "space/key".
        """
        ...

    async def scan(
        self, space: str, *, after: str = "", limit: int = 1000
    ) -> Sequence[tuple[str, Entry]]:
        """Entries by ascending key, from the first above `after`."""
        ...

    async def maintain(self) -> int:
        """Drop expired entries, a bounded number; return how many went."""
        ...
