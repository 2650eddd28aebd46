"""A name that one process holds at a time, for work that must not be done twice at once."""

import msgspec

from isthmus.clock import Clock
from isthmus.contracts import Entry, Put, StoreEngine
from isthmus.errors import ConflictError

__all__ = ["Lease"]

SPACE = "leases"

GRACE = 0.25
"""How far clocks may differ, as a part of the span: others wait so much longer than the
holder trusts its lease."""


class _Held(msgspec.Struct, array_like=True):
    holder: str
    until: float


class Lease:
    """One holder's claim to `name`, good for `span` seconds from each `take`.

    Two never hold it at once while their clocks differ by less than a quarter of the span.
    It is advice, not a fence: work that outlives the lease may meet the next holder's.

    Source: Gray and Cheriton, "Leases", SOSP 1989.
    """

    def __init__(
        self, store: StoreEngine, name: str, *, holder: str, span: float, clock: Clock
    ) -> None:
        self._store, self._name, self._holder = store, name, holder
        self._span, self._clock = span, clock
        self._until = 0.0

    @property
    def held(self) -> bool:
        """Whether it is still the holder's, by the holder's own clock."""
        return self._clock.now() < self._until

    async def take(self) -> bool:
        """Take or renew it; return whether it is held now.

        Raises:
            UnavailableError: The store is out of reach; what was held stays so until it ends.
        """
        began = self._clock.now()  # what the store takes counts against us
        entry = await self._entry()
        if not self._may_take(entry, began):
            return False
        value = msgspec.msgpack.encode(_Held(self._holder, began + self._span))
        if await self._put(value, entry):
            self._until = began + self._span
        return self.held

    async def release(self) -> None:
        """Let the next one have it at once; do nothing if it is another's."""
        self._until = 0.0
        entry = await self._entry()
        if entry is not None and _held(entry).holder == self._holder:
            await self._put(None, entry)

    async def _entry(self) -> Entry | None:
        return (await self._store.get(SPACE, [self._name])).get(self._name)

    def _may_take(self, entry: Entry | None, now: float) -> bool:
        if entry is None:
            return True
        held = _held(entry)
        return held.holder == self._holder or now >= held.until + GRACE * self._span

    async def _put(self, value: bytes | None, over: Entry | None) -> bool:
        version = over.version if over else 0
        try:
            await self._store.put(SPACE, [Put(self._name, value, version)])
        except ConflictError:
            return False  # another was quicker
        return True


def _held(entry: Entry) -> _Held:
    return msgspec.msgpack.decode(entry.value, type=_Held)
