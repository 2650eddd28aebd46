"""Leases on ranges, and the receipts that name what lies in them."""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from isthmus.engines.sqlite.database.connection import Connection

__all__ = ["Range", "Receipt", "hex_number"]

_FIND = "SELECT token, lane, first, last, taken, left, lapses FROM isthmus_lease WHERE token = ?"
_DELETE = "DELETE FROM isthmus_message WHERE id BETWEEN ? AND ?"
_DELETE_KNOWN = f"{_DELETE} RETURNING id"
_COUNT = "SELECT count(*) FROM isthmus_message WHERE id BETWEEN ? AND ?"
_IDS = "SELECT id FROM isthmus_message WHERE id BETWEEN ? AND ?"
_EXTEND = "UPDATE isthmus_lease SET until = ?1 + ?2, span = ?2 WHERE token = ?3"
_LEAVE = "UPDATE isthmus_lease SET left = left - ? WHERE token = ?"
_END = "DELETE FROM isthmus_lease WHERE token = ?"
_SINGLE_OUT = """
INSERT INTO isthmus_single
SELECT id, ?2, '', ?3, 0, ?4, ?5, ?6, ?7, message_id, sent_at, packed
FROM isthmus_message WHERE id = ?1
"""
_LIVE = """
SELECT EXISTS (SELECT 1 FROM isthmus_single WHERE id = ?2 AND token = ?1)
  OR EXISTS (SELECT 1 FROM isthmus_lease WHERE token = ?1 AND ?2 BETWEEN first AND last)
    AND EXISTS (SELECT 1 FROM isthmus_message WHERE id = ?2)
"""


class Receipt(NamedTuple):
    """One delivery: the token of its lease, and the message."""

    token: int
    id: int

    def __str__(self) -> str:
        return f"{self.token:x}.{self.id:x}"

    @classmethod
    def read(cls, text: str) -> "Receipt":
        """Return what `text` names; one that was never handed out names nothing."""
        token, _, id_ = text.partition(".")
        return cls(hex_number(token), hex_number(id_))

    def is_live(self, db: Connection) -> bool:
        return bool(db.execute(_LIVE, self).fetchone()[0])


class Range(NamedTuple):
    """A lease on what is left of a range of messages."""

    token: int
    lane: int
    first: int
    last: int
    taken: int
    left: int
    lapses: int

    @classmethod
    def find(cls, db: Connection, token: int) -> "Range | None":
        row = db.execute(_FIND, (token,)).fetchone()
        return cls(*row) if row else None

    @property
    def attempt(self) -> int:
        return 1 + self.lapses

    def ids(self, db: Connection) -> set[int]:
        """Return what is left."""
        return {row[0] for row in db.execute(_IDS, (self.first, self.last)).fetchall()}

    def delete(self, db: Connection, ids: Iterable[int]) -> set[int]:
        """Drop those that are in it; return them."""
        inside = sorted(id_ for id_ in ids if self.first <= id_ <= self.last)
        gone: set[int] = set()
        for first, last in _runs(inside):
            if self.left == self.taken or self._has_all(db, first, last):
                db.execute(_DELETE, (first, last))
                gone.update(range(first, last + 1))
            else:
                gone.update(row[0] for row in db.execute(_DELETE_KNOWN, (first, last)).fetchall())
        self._leave(db, len(gone))
        return gone

    def _has_all(self, db: Connection, first: int, last: int) -> bool:
        (count,) = db.execute(_COUNT, (first, last)).fetchone()
        return count == last - first + 1

    def single_out(
        self, db: Connection, id_: int, *, ready_at: float, attempt: int, token: int, span: float
    ) -> bool:
        """Give one message a state of its own; return whether it was in it."""
        if not self.first <= id_ <= self.last:
            return False
        state = (id_, self.lane, ready_at, attempt, self.lapses, token, span)
        if not db.execute(_SINGLE_OUT, state).rowcount:
            return False
        db.execute(_DELETE, (id_, id_))
        self._leave(db, 1)
        return True

    def extend(self, db: Connection, *, now: float, span: float) -> None:
        db.execute(_EXTEND, (now, span, self.token))

    def _leave(self, db: Connection, count: int) -> None:
        if count == self.left:
            db.execute(_END, (self.token,))
        elif count:
            db.execute(_LEAVE, (count, self.token))


def hex_number(text: str) -> int:
    """Return what part of a receipt says; 0, which is no token and no id, if it says nothing."""
    try:
        return int(text, 16)
    except ValueError:
        return 0


def _runs(ids: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Yield the first and last of each run of neighbours in ascending `ids`."""
    start = 0
    for end in range(1, len(ids) + 1):
        if end == len(ids) or ids[end] != ids[end - 1] + 1:
            yield ids[start], ids[end - 1]
            start = end
