"""The ids of commands that were handled, so that the same again is one effect."""

from typing import NamedTuple

import msgspec

from isthmus.contracts import Put, StoreEngine, Transaction
from isthmus.errors import ConflictError

__all__ = ["Done", "Outcome"]


class Outcome(NamedTuple):
    """What is kept of a command: the version it led to, and how many events did."""

    version: int
    events: int


class Done:
    """The commands of one aggregate type, each kept for `retention` seconds."""

    def __init__(self, store: StoreEngine, name: str, *, retention: float) -> None:
        self._store, self._space, self._retention = store, f"commands/{name}", retention

    async def find(self, key: str, id: str) -> Outcome | None:
        """Return what came of a command, if it was handled."""
        name = _name(key, id)
        found = (await self._store.get(self._space, [name])).get(name)
        return None if found is None else msgspec.msgpack.decode(found.value, type=Outcome)

    async def note(self, key: str, id: str, outcome: Outcome, *, tx: Transaction) -> None:
        """Have `tx` commit only if the command was not handled before."""
        put = Put(_name(key, id), msgspec.msgpack.encode(outcome), 0, self._retention)
        await self._store.put(self._space, [put], tx=tx)

    def refused(self, error: ConflictError) -> bool:
        """Whether `error` says that it was."""
        return error.subject.startswith(f"{self._space}/")


def _name(key: str, id: str) -> str:
    return f"{len(key)}:{key}/{id}"
