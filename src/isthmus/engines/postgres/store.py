"""Transactions, and entries in one table."""

from collections.abc import Awaitable, Mapping, Sequence

from isthmus.contracts import Entry, Put, StoreCapabilities, StoreEngine, Transaction, Tx
from isthmus.engines.postgres.database.database import Database
from isthmus.engines.postgres.database.reads import Seen
from isthmus.engines.postgres.entries.puts import Puts
from isthmus.engines.postgres.limits import BOUND, require_text
from isthmus.errors import ConfigError

__all__ = ["PostgresStore"]

MAX_VALUE = 16 * 1024 * 1024

_FIND = """
SELECT e.key, e.value, e.version
FROM (SELECT $1::text AS space, unnest($2::text[]) AS key OFFSET 0) AS wanted
JOIN isthmus.entry e ON e.space = wanted.space AND e.key = wanted.key AND e.until > $3::float8
"""
_SCAN = """
SELECT key, value, version FROM isthmus.entry
WHERE space = $1 AND key > $2 AND until > $3 ORDER BY key LIMIT $4
"""
_EXPIRE = """
WITH gone AS (
  DELETE FROM isthmus.entry WHERE ctid = ANY(ARRAY(
    SELECT ctid FROM isthmus.entry WHERE until < 'infinity' AND until <= $1
    ORDER BY until LIMIT $2 FOR UPDATE SKIP LOCKED))
  RETURNING version)
SELECT count(*) FILTER (WHERE version > 0) FROM gone
"""


class PostgresStore:
    def __init__(self, database: Database) -> None:
        self._database = database
        self._capabilities = StoreCapabilities(
            scope=database.scope,
            durable=database.durability,
            shared=True,
            sql="postgresql",
            isolation="read committed",
            max_value=MAX_VALUE,
        )

    @property
    def capabilities(self) -> StoreCapabilities:
        return self._capabilities

    def begin(self, *, attempt: int = 1) -> Transaction:  # noqa: ARG002 - rows are locked in turn
        return self._database.begin()

    def adopt(self, connection: object) -> Transaction:
        return self._database.adopt(connection)

    async def get(self, space: str, keys: Sequence[str], *, tx: Tx = None) -> Mapping[str, Entry]:
        wanted, now = list(keys), self._database.now()
        require_text((space, *wanted))
        if tx is None:
            rows = await self._database.rows(_FIND, space, wanted, now)
            return {key: Entry(value, version) for key, value, version in rows}
        own = self._database.own(tx)
        found = {
            key: Entry(bytes(value), version)
            for key, value, version in await own.look(_FIND, space, wanted, now)
        }
        none = Entry(b"", 0)
        entries = {key: found.get(key, none) for key in wanted}
        seen = {key: Seen.of(each.version, each.value, now) for key, each in entries.items()}
        await own.saw(lambda reads: reads.saw_entries(space, seen))
        return found

    def put(self, space: str, puts: Sequence[Put], *, tx: Tx = None) -> Awaitable[None]:
        for put in puts:
            if put.value is not None and len(put.value) > MAX_VALUE:
                raise _too_large(space, put.key, len(put.value))
            require_text((space, put.key))
        return self._put(space, puts, tx)

    async def _put(self, space: str, puts: Sequence[Put], tx: Tx) -> None:
        if puts:
            await self._database.apply(Puts([(space, put) for put in puts]), tx)

    async def scan(
        self, space: str, *, after: str = "", limit: int = 1000
    ) -> Sequence[tuple[str, Entry]]:
        rows = await self._database.rows(_SCAN, space, after, self._database.now(), limit)
        return [(key, Entry(value, version)) for key, value, version in rows]

    async def maintain(self) -> int:
        return await self._database.value(_EXPIRE, self._database.now(), BOUND)


def _too_large(space: str, key: str, size: int) -> ConfigError:
    return ConfigError(
        f"the value of {space}/{key} has {size} bytes, at most {MAX_VALUE} fit; "
        "store it elsewhere and keep a reference to it"
    )


_: type[StoreEngine] = PostgresStore
