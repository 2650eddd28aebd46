"""States kept now and then, so that a long history is not read from its beginning.

A snapshot is a cache: one of another version of the state's type, or of other fields, is
passed over, and the history is read instead.
"""

import hashlib
from typing import Any, NamedTuple, cast

import msgspec

from isthmus.contracts import Put, StoreEngine, Transaction
from isthmus.schema import Schema
from isthmus.sourcing.living import Live
from isthmus.sourcing.seals import Seals

__all__ = ["Snapshots"]


class _Kept(NamedTuple):
    label: str
    version: int
    state: bytes


class Snapshots:
    """The newest snapshot of each aggregate of one type."""

    def __init__(
        self,
        store: StoreEngine,
        name: str,
        schema: Schema[Any],
        seals: Seals,
        *,
        every: int | None,
    ) -> None:
        """`every`: events after which the state is kept; None is never."""
        self._store, self._space = store, f"snapshots/{name}"
        self._schema, self._seals, self._every = schema, seals, every
        self._label = "" if every is None else _label(schema)

    def due(self, before: Live, after: Live) -> bool:
        every = self._every
        return every is not None and before.version // every != after.version // every

    async def find(self, key: str) -> Live | None:
        """Return the newest that can be read."""
        if self._every is None:
            return None
        found = (await self._store.get(self._space, [key])).get(key)
        return None if found is None else await self._read(key, found.value)

    async def put(self, key: str, live: Live, *, tx: Transaction) -> None:
        state = await self._seals.seal_state(key, self._schema.encode(live.state), tx=tx)
        kept = _Kept(self._label, live.version, state)
        put = Put(key, msgspec.msgpack.encode(kept))
        await self._store.put(self._space, [put], tx=tx)

    async def _read(self, key: str, value: bytes) -> Live | None:
        kept = msgspec.msgpack.decode(value, type=_Kept)
        if kept.label != self._label:
            return None
        state = await self._seals.open_state(key, kept.state)
        return None if state is None else Live(self._schema.decode(state), kept.version)


def _label(schema: Schema[Any]) -> str:
    """Name a state's type and all its fields, whatever is said about them."""
    document = msgspec.json.encode(_bare(schema.json_schema()), order="deterministic")
    return f"{schema}:{hashlib.sha256(document).hexdigest()[:16]}"


def _bare(document: Any) -> Any:
    if isinstance(document, dict):
        parts = cast("dict[str, Any]", document)
        told = isinstance(parts.get("description"), str)
        return {n: _bare(p) for n, p in parts.items() if not (told and n == "description")}
    if isinstance(document, list):
        return [_bare(part) for part in cast("list[Any]", document)]
    return document
