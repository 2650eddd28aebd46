"""Transactions, and entries in one table."""

from collections.abc import Awaitable, Mapping, Sequence
from math import inf

import msgspec

from isthmus.clock import Clock
from isthmus.contracts import Entry, Put, StoreCapabilities, StoreEngine, Transaction, Tx
from isthmus.engines.sqlite.database.database import Connection, Database
from isthmus.engines.sqlite.database.rows import find, insert
from isthmus.engines.sqlite.database.transaction import DONE
from isthmus.errors import ConfigError, ConflictError

__all__ = ["TABLES", "SqliteStore"]

TABLES = """
CREATE TABLE IF NOT EXISTS isthmus_entry (
    space TEXT NOT NULL,
    key TEXT NOT NULL,
    value BLOB NOT NULL,
    version INTEGER NOT NULL,
    until REAL NOT NULL,
    PRIMARY KEY (space, key)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS isthmus_entry_until ON isthmus_entry (until) WHERE until < 9e999;
"""

MAX_VALUE = 16 * 1024 * 1024
BOUND = 10_000
"""Most entries that one `maintain` drops."""
FEW = 8
"""Entries that are found sooner than a thread has its turn."""


Row = tuple[str, str, bytes, float, int]
"""space, key, value, until, version"""


class _Puts(msgspec.Struct, frozen=True, gc=False):
    """What one caller wants put."""

    space: str
    puts: Sequence[Put]
    clock: Clock


class SqliteStore:
    def __init__(self, database: Database) -> None:
        self._database = database
        self._capabilities = StoreCapabilities(
            scope=database.scope,
            durable=database.durability,
            shared=False,
            sql="sqlite",
            isolation="serializable",
            max_value=MAX_VALUE,
        )

    @property
    def capabilities(self) -> StoreCapabilities:
        return self._capabilities

    def begin(self, *, attempt: int = 1) -> Transaction:
        return self._database.begin(attempt=attempt)

    def adopt(self, connection: object) -> Transaction:
        return self._database.adopt(connection)

    async def get(self, space: str, keys: Sequence[str], *, tx: Tx = None) -> Mapping[str, Entry]:
        wanted, now = list(keys), self._database.clock.now()
        few = len(wanted) <= FEW
        return await self._database.read(lambda at: _get(at, space, wanted, now), tx=tx, few=few)

    def put(self, space: str, puts: Sequence[Put], *, tx: Tx = None) -> Awaitable[None]:
        for put in puts:
            if put.value is not None and len(put.value) > MAX_VALUE:
                raise _too_large(space, put.key, len(put.value))
        if not puts:
            return DONE
        wanted = _Puts(space, list(puts), self._database.clock)
        return self._database.merge(_put_all, wanted, tx=tx)

    async def scan(
        self, space: str, *, after: str = "", limit: int = 1000
    ) -> Sequence[tuple[str, Entry]]:
        now = self._database.clock.now()
        return await self._database.read(lambda at: _scan(at, space, after, limit, now))

    async def maintain(self) -> int:
        now = self._database.clock.now()
        return await self._database.write(lambda at: _expire(at, now), lazy=True)


def _get(at: Connection, space: str, keys: Sequence[str], now: float) -> dict[str, Entry]:
    rows = find(at, _FIND, keys, parameters=(space, now))
    return {key: Entry(value, version) for key, value, version in rows}


_FIND = "SELECT key, value, version FROM isthmus_entry WHERE space = ? AND until > ? AND key IN"


def _put_all(at: Connection, wanted: list[_Puts]) -> Sequence[None]:
    """Put what many callers want, or raise and leave the undoing to the writer.

    They are put now, when they commit: what has expired meanwhile is absent.
    """
    now = wanted[0].clock.now()
    together = _Together(now)
    if not (
        all(together.add(one.space, put) for one in wanted for put in one.puts) and together.put(at)
    ):
        for one in wanted:
            for put in one.puts:
                _put(at, one.space, put, now)
    return [None] * len(wanted)


class _Together:
    """Puts of different keys, in a statement of each kind: what order they have is all the same."""

    def __init__(self, now: float) -> None:
        self._now = now
        self._keys: set[tuple[str, str]] = set()
        self._added: list[Row] = []
        self._changed: list[tuple[bytes, float, str, str, int, float]] = []
        self._set: list[tuple[str, str, bytes, float, float]] = []
        self._dropped: list[tuple[str, str]] = []

    def add(self, space: str, put: Put) -> bool:
        """Return False if it has to be put by itself."""
        key = (space, put.key)
        if key in self._keys:
            return False
        self._keys.add(key)
        version, value = put.if_version, put.value
        if value is None:
            self._dropped.append(key)
            return version is None
        until = inf if put.ttl is None else self._now + put.ttl
        if version is None:
            self._set.append((*key, value, until, self._now))
        elif version:
            self._changed.append((value, until, *key, version, self._now))
        else:
            self._added.append((*key, value, until, 1))
        return True

    def put(self, at: Connection) -> bool:
        """Put all, or nothing if one is refused; return which."""
        if len(self._keys) == 1:
            return self._put(at)
        at.execute("SAVEPOINT puts")
        done = self._put(at)
        if not done:
            at.execute("ROLLBACK TO puts")
        at.execute("RELEASE puts")
        return done

    def _put(self, at: Connection) -> bool:
        added, changed = self._added, self._changed
        if added:
            done = insert(at, _ENTRY, added, otherwise=_IF_EXPIRED, parameters=(self._now,))
            if done < len(added):
                return False
        if changed and at.executemany(_CHANGE, changed).rowcount < len(changed):
            return False
        if self._set:
            at.executemany(_SET_ANY, self._set)
        if self._dropped:
            at.executemany(_DROP, self._dropped)
        return True


def _put(at: Connection, space: str, put: Put, now: float) -> None:
    (found,) = at.execute(_VERSION, (space, put.key, now)).fetchall() or [(0,)]
    if put.if_version not in {None, found[0]}:
        subject = f"{space}/{put.key}"
        raise ConflictError(
            f"{subject} is at version {found[0]}, not at {put.if_version}", subject=subject
        )
    if put.value is None:
        at.execute(_DROP, (space, put.key))
    else:
        until = inf if put.ttl is None else now + put.ttl
        at.execute(_SET, (space, put.key, put.value, until, found[0] + 1))


_VERSION = "SELECT version FROM isthmus_entry WHERE space = ? AND key = ? AND until > ?"
_DROP = "DELETE FROM isthmus_entry WHERE space = ? AND key = ?"
_ENTRY = "isthmus_entry (space, key, value, until, version)"
_REPLACE = """
ON CONFLICT (space, key) DO UPDATE
SET value = excluded.value, version = excluded.version, until = excluded.until
"""
_SET = f"INSERT INTO {_ENTRY} VALUES (?, ?, ?, ?, ?) {_REPLACE}"
_IF_EXPIRED = f"{_REPLACE} WHERE isthmus_entry.until <= ?"
_CHANGE = """
UPDATE isthmus_entry SET value = ?, until = ?, version = version + 1
WHERE space = ? AND key = ? AND version = ? AND until > ?
"""
_SET_ANY = f"""
INSERT INTO {_ENTRY} VALUES (?1, ?2, ?3, ?4, 1)
ON CONFLICT (space, key) DO UPDATE SET value = excluded.value, until = excluded.until,
  version = iif(isthmus_entry.until > ?5, isthmus_entry.version, 0) + 1
"""


def _scan(
    at: Connection, space: str, after: str, limit: int, now: float
) -> list[tuple[str, Entry]]:
    rows = at.execute(_PAGE, (space, after, now, limit)).fetchall()
    return [(key, Entry(value, version)) for key, value, version in rows]


_PAGE = """
SELECT key, value, version FROM isthmus_entry WHERE space = ? AND key > ? AND until > ?
ORDER BY key LIMIT ?
"""


def _expire(at: Connection, now: float) -> int:
    return at.execute(_EXPIRE, (now, BOUND)).rowcount


_EXPIRE = """
DELETE FROM isthmus_entry WHERE (space, key) IN (
    SELECT space, key FROM isthmus_entry WHERE until < 9e999 AND until <= ? LIMIT ?)
"""


def _too_large(space: str, key: str, size: int) -> ConfigError:
    return ConfigError(
        f"the value of {space}/{key} has {size} bytes, at most {MAX_VALUE} fit; "
        "store it elsewhere and keep a reference to it"
    )


_: type[StoreEngine] = SqliteStore
