"""What lies in a subscription, seen without taking it."""

from typing import Any

from isthmus.contracts import Waiting
from isthmus.engines.postgres.packing import unpack

__all__ = ["COUNT", "PAGE", "number_of", "waiting"]

COUNT = """
SELECT count(*) FILTER (WHERE ready_at <= $2) AS ready,
  count(*) FILTER (WHERE ready_at > $2 AND token IS NOT NULL) AS leased,
  count(*) FILTER (WHERE ready_at > $2 AND token IS NULL) AS delayed,
  coalesce(min(sent_at) FILTER (WHERE ready_at <= $2), 0) AS oldest_at
FROM isthmus.slot WHERE sub = $1
"""
PAGE = """
SELECT seq, attempt, token, ready_at, sent_at, added::text, packed FROM isthmus.slot
WHERE sub = $1 AND seq > $2 ORDER BY seq LIMIT $3
"""


def number_of(place: str) -> int:
    try:
        return int(place, 16)
    except ValueError:
        return 0


def waiting(row: Any, now: float) -> Waiting:
    held = row["token"] is not None
    leased = held and row["ready_at"] > now
    return Waiting(
        message=unpack(row["packed"], row["added"]),
        place=f"{row['seq']:016x}",
        sent_at=row["sent_at"],
        ready_at=row["ready_at"] or row["sent_at"],
        attempt=row["attempt"] + (held and not leased),
        leased=leased,
    )
