"""A store, and its transactions, that fail by script."""

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self

from isthmus.contracts import Entry, Put, StoreCapabilities, StoreEngine, Transaction, Tx
from isthmus.testing.chaos.script import ANY, READS, Chaos

__all__ = ["ChaoticStore", "ChaoticTransaction", "inner"]


class ChaoticTransaction:
    def __init__(self, transaction: Transaction, chaos: Chaos) -> None:
        self.inner = transaction
        self._chaos = chaos
        self._ended = False

    @property
    def scope(self) -> str:
        return self.inner.scope

    async def execute(self, sql: str, /, **parameters: Any) -> int:
        return await self._chaos.befall(
            "execute", lambda: self.inner.execute(sql, **parameters), may=READS
        )

    async def execute_many(self, sql: str, rows: Sequence[Mapping[str, Any]], /) -> int:
        return await self._chaos.befall(
            "execute_many", lambda: self.inner.execute_many(sql, rows), may=READS
        )

    async def defer(self, sql: str, /, **parameters: Any) -> None:
        await self._chaos.befall("defer", lambda: self.inner.defer(sql, **parameters), may=READS)

    async def fetch(self, sql: str, /, **parameters: Any) -> Sequence[Any]:
        return await self._chaos.befall(
            "fetch", lambda: self.inner.fetch(sql, **parameters), may=READS
        )

    async def commit(self) -> None:
        self._ended = True
        committed = False

        async def commit() -> None:
            nonlocal committed
            committed = True
            await self.inner.commit()

        try:
            await self._chaos.befall("commit", commit, may=ANY)
        finally:
            if not committed:
                await self.inner.rollback()

    async def rollback(self) -> None:
        self._ended = True
        await self.inner.rollback()

    async def __aenter__(self) -> Self:
        await self.inner.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if not self._ended:
            await (self.commit() if kind is None else self.rollback())


def inner(tx: Tx) -> Tx:
    """The engine's own transaction behind a chaotic one."""
    return tx.inner if isinstance(tx, ChaoticTransaction) else tx


class ChaoticStore:
    def __init__(self, store: StoreEngine, chaos: Chaos) -> None:
        self._store = store
        self._chaos = chaos

    @property
    def capabilities(self) -> StoreCapabilities:
        return self._store.capabilities

    def begin(self, *, attempt: int = 1) -> Transaction:
        return ChaoticTransaction(self._store.begin(attempt=attempt), self._chaos)

    def adopt(self, connection: object) -> Transaction:
        return ChaoticTransaction(self._store.adopt(connection), self._chaos)

    async def get(self, space: str, keys: Sequence[str], *, tx: Tx = None) -> Mapping[str, Entry]:
        return await self._chaos.befall(
            "get", lambda: self._store.get(space, keys, tx=inner(tx)), may=READS
        )

    async def put(self, space: str, puts: Sequence[Put], *, tx: Tx = None) -> None:
        await self._chaos.befall("put", lambda: self._store.put(space, puts, tx=inner(tx)), may=ANY)

    async def scan(
        self, space: str, *, after: str = "", limit: int = 1000
    ) -> Sequence[tuple[str, Entry]]:
        return await self._chaos.befall(
            "scan", lambda: self._store.scan(space, after=after, limit=limit), may=READS
        )

    async def maintain(self) -> int:
        return await self._chaos.befall("maintain", self._store.maintain, may=ANY)


_: type[StoreEngine] = ChaoticStore
__: type[Transaction] = ChaoticTransaction
