"""What drops messages that nobody holds."""

from collections.abc import Collection, Sequence

import msgspec

from isthmus.engines.postgres.database.database import Database
from isthmus.engines.postgres.database.steps import Call, Function
from isthmus.engines.postgres.limits import BOUND

__all__ = ["Removal", "clear_all", "sweep"]

STEP = 5_000
"""Most messages in one commit."""

_PAGE = "SELECT seq FROM isthmus.slot WHERE sub = $1 AND seq > $2 ORDER BY seq LIMIT $3"
_CLEAR = Function.of("clear", "int", "bigint[]", "float8")
_SWEEP = """
WITH gone AS (DELETE FROM isthmus.slot WHERE ctid = ANY(ARRAY(
  SELECT s.ctid FROM isthmus.dropped d JOIN isthmus.slot s ON s.sub = d.sub
  LIMIT $1 FOR UPDATE OF s SKIP LOCKED)) RETURNING 1)
SELECT count(*) FROM gone
"""
_REMOVE = Function.of("remove", "int", "text[]", "float8")


class Removal(msgspec.Struct, frozen=True, gc=False):
    """Drop the messages with these ids."""

    sub: int
    channel: int
    ids: Sequence[str]

    @property
    def channels(self) -> Collection[int]:
        return (self.channel,)  # the next of its key may come

    @property
    def writes(self) -> Collection[tuple[str, str]]:
        return ()

    def call(self, now: float) -> Call:
        return _REMOVE.call(self.sub, self.ids, now)

    @classmethod
    def merged(cls, steps: "Sequence[Removal]") -> "Sequence[Removal]":
        return steps


async def clear_all(database: Database, sub: int, now: float) -> int:
    """Drop all that nobody holds, a step at a time; return how many went."""
    gone = last = 0
    while rows := await database.rows(_PAGE, sub, last, STEP):
        seqs = [row[0] for row in rows]
        gone, last = gone + await database.call(_CLEAR.call(sub, seqs, now)), seqs[-1]
    return gone


async def sweep(database: Database) -> int:
    """Drop some of what undeclared subscriptions left behind; return how many went."""
    return await database.value(_SWEEP, BOUND)
