"""The data of one memory:// database, and an engine's connection to it."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from isthmus.clock import Clock
from isthmus.contracts import Entry, Tx
from isthmus.engines.memory.changes import Changes
from isthmus.engines.memory.journal import Journal
from isthmus.engines.memory.subscription import Subscription
from isthmus.engines.memory.transaction import MemoryTransaction, Step
from isthmus.errors import ConfigError, UnavailableError

__all__ = ["FOREVER", "MAX_BATCH", "MAX_BODY", "Connection", "Database", "Space"]

FOREVER = float("inf")
MAX_BATCH = 10_000
MAX_BODY = 16 * 2**20

T = TypeVar("T")
Space = dict[str, tuple[Entry, float]]
"""Key -> the entry, and until when it is there."""


@dataclass(slots=True)
class Database:
    scope: str
    subscriptions: dict[tuple[str, str], Subscription] = field(
        default_factory=dict[tuple[str, str], Subscription]
    )
    journals: dict[str, Journal] = field(default_factory=dict[str, Journal])
    spaces: dict[str, Space] = field(default_factory=dict[str, Space])
    connections: int = 0

    def changes(self) -> list[Changes]:
        return [
            *(subscription.changes for subscription in self.subscriptions.values()),
            *(journal.changes for journal in self.journals.values()),
        ]


class Connection:
    """One engine's way to its database: on its clock, until it is closed."""

    def __init__(self, database: Database, *, clock: Clock) -> None:
        self.database = database
        self._clock = clock
        self._closed = False
        database.connections += 1

    @property
    def scope(self) -> str:
        return self.database.scope

    def now(self) -> float:
        """The moment; UnavailableError once the engine is closed."""
        self.require_open()
        return self._clock.now()

    def require_open(self) -> None:
        if self._closed:
            raise UnavailableError(f"the engine {self.scope} is closed")

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self.database.connections -= 1
            for changes in self.database.changes():
                changes.note()

    def begin(self) -> MemoryTransaction:
        return MemoryTransaction(self.scope, require_open=self.require_open)

    def apply(self, step: Step, tx: Tx) -> None:
        """Take the step now, or when `tx` commits."""
        self.require_open()
        if tx is None:
            step()
        else:
            self.own(tx).stage(step)

    def own(self, tx: Tx) -> MemoryTransaction:
        if not isinstance(tx, MemoryTransaction) or tx.scope != self.scope:
            scope = getattr(tx, "scope", tx)
            raise ConfigError(
                f"the transaction is one of {scope!r}, this engine's scope is {self.scope!r}: "
                "begin it with the store of this engine"
            )
        tx.require_open()
        return tx

    def reading(self, tx: Tx) -> MemoryTransaction | None:
        """The transaction for one more read, if all that it has read is still so."""
        self.require_open()
        if tx is None:
            return None
        own = self.own(tx)
        own.require_unchanged()
        return own

    async def until(
        self,
        probe: Callable[[], T | None],
        *,
        changes: Callable[[], Changes],
        due: Callable[[], float],
        wait: float,
    ) -> T | None:
        """The one place that waits: for a change, the next due moment, or the end.
        Returns the first answer of `probe` that is not None; None once `wait` is over."""
        end = self.now() + wait
        await asyncio.sleep(0)  # who always finds something must not starve the others
        while True:
            change = changes().next
            if (found := probe()) is not None or self.now() >= end:
                return found
            await self._clock.wait(change, max(0.0, min(end, due()) - self.now()))
