"""A transaction for code that blocks."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from isthmus.contracts import Transaction
from isthmus.handling.threads import wait

__all__ = ["SyncTransaction"]


class SyncTransaction:
    """A `Transaction` whose calls block, for `def` handlers and `SyncApp`. The end of the handler,
    or of the block, commits it."""

    def __init__(
        self, transaction: Transaction, *, wait: Callable[[Awaitable[Any]], Any] = wait
    ) -> None:
        """`wait`: blocks until something is awaited, where the transaction lives."""
        self._transaction, self._wait = transaction, wait

    @property
    def scope(self) -> str:
        return self._transaction.scope

    def execute(self, sql: str, /, **parameters: Any) -> int:
        return self._wait(self._transaction.execute(sql, **parameters))

    def execute_many(self, sql: str, rows: Sequence[Mapping[str, Any]], /) -> int:
        return self._wait(self._transaction.execute_many(sql, rows))

    def defer(self, sql: str, /, **parameters: Any) -> None:
        self._wait(self._transaction.defer(sql, **parameters))

    def fetch(self, sql: str, /, **parameters: Any) -> Sequence[Any]:
        return self._wait(self._transaction.fetch(sql, **parameters))
