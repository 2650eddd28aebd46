"""The ids of commands that were handled, so that the same again is one effect."""

from collections.abc import Callable
from hashlib import blake2b
from typing import Generic, NamedTuple, NoReturn, TypeVar

import msgspec

from isthmus.contracts import Put, StoreEngine, Transaction
from isthmus.errors import ConflictError, IsthmusError

__all__ = ["Done", "IdReusedError", "Outcome", "refuse_reuse"]

Kept = TypeVar("Kept")


class IdReusedError(IsthmusError):
    """An id was given to another command before: nothing was done. Ids are for one command, and
    for its repetitions."""


class Outcome(NamedTuple):
    """What is kept of an aggregate's command: the version it led to, and how many events did."""

    version: int
    events: int


class Done(Generic[Kept]):
    """The commands that were handled in one place, each kept for `retention` seconds with
    what came of it."""

    def __init__(
        self, store: StoreEngine, space: str, outcome: type[Kept], *, retention: float
    ) -> None:
        self._store, self._space, self._retention = store, space, retention
        self._read: Callable[[bytes], tuple[bytes, Kept]] = msgspec.msgpack.Decoder(
            tuple[bytes, outcome]
        ).decode

    async def find(self, id: str, body: bytes, *, of: str = "") -> Kept | None:
        """Return what came of a command, if it was handled. `of`: how the id begins, and is
        not told.

        Raises:
            IdReusedError: It was another one.
        """
        found = (await self._store.get(self._space, [id])).get(id)
        if found is None:
            return None
        mark, outcome = self._read(found.value)
        if mark != _mark(body):
            refuse_reuse(id.removeprefix(of))
        return outcome

    async def note(self, id: str, body: bytes, outcome: Kept, *, tx: Transaction) -> None:
        """Have `tx` commit only if no command of this id was handled before."""
        value = msgspec.msgpack.encode((_mark(body), outcome))
        await self._store.put(self._space, [Put(id, value, 0, self._retention)], tx=tx)

    def refused(self, error: ConflictError) -> bool:
        """Whether `error` says that one was."""
        return error.subject.startswith(f"{self._space}/")


def refuse_reuse(id: str) -> NoReturn:
    """Raises IdReusedError."""
    raise IdReusedError(f"id {id!r} was given to another command before; make a new one")


def _mark(body: bytes) -> bytes:
    return blake2b(body, digest_size=8).digest()
