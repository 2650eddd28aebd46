"""Transactions, and entries in memory."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import NoReturn

from isthmus.contracts import Entry, Put, StoreCapabilities, StoreEngine, Transaction, Tx
from isthmus.engines.memory.database import FOREVER, MAX_BODY, Connection, Space
from isthmus.engines.memory.transaction import Undo
from isthmus.errors import ConfigError, ConflictError, UnsupportedError

__all__ = ["MemoryStore"]

BOUND = 10_000
"""Most entries that one `maintain` drops."""


class MemoryStore:
    def __init__(self, connection: Connection) -> None:
        self._at = connection
        self._capabilities = StoreCapabilities(
            scope=connection.scope,
            durable="memory",
            shared=False,
            sql="",
            isolation="serializable",
            max_value=MAX_BODY,
        )

    @property
    def capabilities(self) -> StoreCapabilities:
        return self._capabilities

    def begin(self, *, attempt: int = 1) -> Transaction:  # noqa: ARG002  # nobody is unlucky here
        self._at.require_open()
        return self._at.begin()

    def adopt(self, connection: object) -> NoReturn:
        raise UnsupportedError(
            f"memory:// has no connections to join ({type(connection).__name__}); "
            "sqlite:///file.db has"
        )

    async def get(self, space: str, keys: Sequence[str], *, tx: Tx = None) -> Mapping[str, Entry]:
        within, now = self._at.reading(tx), self._at.now()
        seen = self._live(space, keys, now)

        def unchanged() -> None:
            there = self._live(space, keys, now)
            for key in keys:
                if there.get(key) != seen.get(key):
                    raise _conflict(space, key, "has changed since it was read")

        if within is not None:
            within.check(unchanged)
        return seen

    def _live(self, space: str, keys: Iterable[str], now: float) -> dict[str, Entry]:
        rows = self._space(space)
        return {key: rows[key][0] for key in keys if key in rows and rows[key][1] > now}

    def _space(self, space: str) -> Space:
        return self._at.database.spaces.setdefault(space, {})

    async def put(self, space: str, puts: Sequence[Put], *, tx: Tx = None) -> None:
        for put in puts:
            _require_fitting(space, put)
        if puts:
            self._at.apply(lambda: self._put_all(space, puts), tx)

    def _put_all(self, space: str, puts: Sequence[Put]) -> Undo:
        rows = self._space(space)
        before = {put.key: rows.get(put.key) for put in puts}

        def undo() -> None:
            for key, row in before.items():
                if row is None:
                    rows.pop(key, None)
                else:
                    rows[key] = row

        try:
            for put in puts:
                self._put(space, put)
        except ConflictError:
            undo()
            raise
        return undo

    def _put(self, space: str, put: Put) -> None:
        rows, now = self._space(space), self._at.now()
        found = self._live(space, [put.key], now).get(put.key)
        version = found.version if found else 0
        if put.if_version not in {None, version}:
            raise _conflict(space, put.key, f"is at version {version}, not at {put.if_version}")
        if put.value is None:
            rows.pop(put.key, None)
        else:
            until = FOREVER if put.ttl is None else now + put.ttl
            rows[put.key] = (Entry(put.value, version + 1), until)

    async def scan(
        self, space: str, *, after: str = "", limit: int = 1000
    ) -> Sequence[tuple[str, Entry]]:
        self._at.require_open()
        keys = [key for key in self._space(space) if key > after]
        live = self._live(space, keys, self._at.now())
        return sorted(live.items())[:limit]

    async def maintain(self) -> int:
        now, spaces = self._at.now(), self._at.database.spaces.values()
        expired = (
            (rows, key) for rows in spaces for key, (_, until) in rows.items() if until <= now
        )
        gone = list(islice(expired, BOUND))
        for rows, key in gone:
            del rows[key]
        return len(gone)


def _conflict(space: str, key: str, what: str) -> ConflictError:
    return ConflictError(f"{space}/{key} {what}", subject=f"{space}/{key}")


def _require_fitting(space: str, put: Put) -> None:
    if put.value is not None and len(put.value) > MAX_BODY:
        raise ConfigError(
            f"the value of {space}/{put.key} has {len(put.value)} bytes, at most {MAX_BODY}"
        )


_: type[StoreEngine] = MemoryStore
