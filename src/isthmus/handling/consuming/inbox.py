"""The inbox: ids already handled, written in the handler's own transaction.

Delivery is at least once; the inbox makes the effect happen once. It is a
put-if-absent in the store, so that two handlings of one id cannot both commit.

Source: "idempotent consumer", Richardson, Microservices Patterns (2018), ch. 3.
"""

from collections.abc import Awaitable, Mapping, Sequence

from isthmus.contracts import Entry, Put, StoreEngine, Transaction
from isthmus.errors import ConflictError

__all__ = ["Inbox"]


class Inbox:
    """The ids one subscription has handled, each kept for `retention` seconds."""

    def __init__(self, store: StoreEngine, space: str, *, retention: float) -> None:
        self._store, self._space, self._retention = store, space, retention

    async def seen(self, ids: Sequence[str]) -> Mapping[str, Entry]:
        """Return those of `ids` that were handled before, and what was kept with each."""
        return await self._store.get(self._space, ids)

    def note(self, ids: Sequence[str], *, tx: Transaction, kept: bytes = b"") -> Awaitable[None]:
        """Have `tx` commit only if none of `ids` was handled before; keep `kept` with them."""
        puts = [Put(each, kept, 0, self._retention) for each in ids]
        return self._store.put(self._space, puts, tx=tx)

    def refused(self, error: ConflictError) -> bool:
        """Whether `error` says that an id was handled before."""
        return error.subject.startswith(f"{self._space}/")

    async def forget(self, ids: Sequence[str]) -> None:
        """Let these ids be handled again."""
        await self._store.put(self._space, [Put(each, None) for each in ids])
