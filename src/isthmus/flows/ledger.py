"""Where flows lie in the store: one entry each, what its events carried, and a list by status."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec

from isthmus.contracts import Put, StoreEngine, Transaction
from isthmus.flows import index
from isthmus.flows.index import Listed
from isthmus.flows.instance import Instance
from isthmus.flows.status import Status
from isthmus.message import Message

__all__ = ["Held", "Ledger"]

_encode = msgspec.msgpack.Encoder().encode
_instance = msgspec.msgpack.Decoder(Instance).decode
_message = msgspec.msgpack.Decoder(Message).decode


class Held(NamedTuple):
    """One flow as it was read, to be changed and saved."""

    instance: Instance
    version: int
    """0 if it is new."""
    status: Status | None
    """As it is listed."""
    waiting: Mapping[str, float]


class Ledger:
    """The flows of one name."""

    def __init__(self, store: StoreEngine, name: str) -> None:
        self._store, self._name = store, name
        self._space, self._events = f"isthmus.flow/{name}", f"isthmus.flow-events/{name}"

    async def find(self, key: str) -> Instance | None:
        """Return a flow as it stands."""
        entry = (await self._store.get(self._space, [key])).get(key)
        return None if entry is None else _instance(entry.value)

    async def take(self, key: str, *, tx: Transaction) -> Held:
        """Return a flow, or a new one; `tx` commits only if nobody else changes it."""
        entry = (await self._store.get(self._space, [key], tx=tx)).get(key)
        if entry is None:
            return Held(Instance(key=key), 0, None, {})
        instance = _instance(entry.value)
        return Held(instance, entry.version, instance.status, dict(instance.waiting))

    async def save(self, held: Held, *, ttl: float | None, tx: Transaction) -> None:
        """Write what became of it; gone after `ttl` seconds."""
        instance = held.instance
        put = Put(instance.key, _encode(instance), held.version, ttl)
        await self._store.put(self._space, [put], tx=tx)
        if held.status != instance.status:
            changes = index.change(held.status, self._listed(instance), ttl=ttl)
            await self._store.put(index.SPACE, changes, tx=tx)

    # --- what events carried ----------------------------------------------------------------

    async def keep(
        self, key: str, event: str, message: Message, *, ttl: float, tx: Transaction
    ) -> None:
        """Keep a message whole, if it is not too large for the store."""
        value = _encode(message)
        if len(value) <= self._store.capabilities.max_value:
            put = Put(_place(key, event), value, ttl=ttl)
            await self._store.put(self._events, [put], tx=tx)

    async def messages(self, key: str, events: Sequence[str]) -> Mapping[str, Message]:
        """Return what was kept, by event."""
        names = {_place(key, event): event for event in events}
        found = await self._store.get(self._events, list(names))
        return {names[place]: _message(entry.value) for place, entry in found.items()}

    async def drop(self, key: str, events: Sequence[str], *, tx: Transaction) -> None:
        """Forget what was kept."""
        puts = [Put(_place(key, event), None) for event in events]
        await self._store.put(self._events, puts, tx=tx)

    def _listed(self, instance: Instance) -> Listed:
        return Listed(
            flow=self._name,
            key=instance.key,
            status=instance.status,
            begun_at=instance.begun_at,
            changed_at=instance.changed_at,
            reason=instance.reason,
        )


def _place(key: str, event: str) -> str:
    return f"{event}/{key}"
