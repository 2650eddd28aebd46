"""The transaction of a handler that runs in a thread."""

from collections.abc import Mapping, Sequence
from typing import Any

from isthmus.contracts import Transaction
from isthmus.handling.threads import wait

__all__ = ["SyncTransaction"]


class SyncTransaction:
    """A `Transaction` whose calls block, for `def` handlers. The handler's end commits it."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    @property
    def scope(self) -> str:
        return self._transaction.scope

    def execute(self, sql: str, /, **parameters: Any) -> int:
        return wait(self._transaction.execute(sql, **parameters))

    def execute_many(self, sql: str, rows: Sequence[Mapping[str, Any]], /) -> int:
        return wait(self._transaction.execute_many(sql, rows))

    def defer(self, sql: str, /, **parameters: Any) -> None:
        wait(self._transaction.defer(sql, **parameters))

    def fetch(self, sql: str, /, **parameters: Any) -> Sequence[Any]:
        return wait(self._transaction.fetch(sql, **parameters))
