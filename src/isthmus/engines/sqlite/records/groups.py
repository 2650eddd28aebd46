"""Groups of readers: where they go on, who is in them, who owns which partition.

A member owns a partition while the row says so, under an epoch that grows with
every owner. Members note that they are alive; whoever does so finds those who
did not, and takes what is free up to a fair share. Who owns more than that
is asked to release it, in its own time.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import NamedTuple

from isthmus.engines.sqlite.database.connection import Connection
from isthmus.engines.sqlite.records.records import channel_of
from isthmus.errors import LeaseLostError

__all__ = ["TABLES", "Attendance", "Fence", "Group", "Holding", "Seat", "fence", "share_of"]

TABLES = """
CREATE TABLE isthmus_group (
  number INTEGER PRIMARY KEY,
  log INTEGER NOT NULL,
  name TEXT NOT NULL,
  generation INTEGER NOT NULL DEFAULT 0, -- grows when somebody should look again
  UNIQUE (log, name)
);
CREATE TABLE isthmus_position (
  reader INTEGER NOT NULL, -- a group's number
  partition INTEGER NOT NULL,
  next INTEGER NOT NULL, -- the offset where the group goes on
  owner TEXT NOT NULL DEFAULT '',
  epoch INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (reader, partition)
) WITHOUT ROWID;
CREATE TABLE isthmus_member (
  seat INTEGER PRIMARY KEY, -- who came first has the lower one
  reader INTEGER NOT NULL,
  name TEXT NOT NULL,
  until REAL NOT NULL,
  span REAL NOT NULL,
  UNIQUE (reader, name)
);
"""

_ENTER = "INSERT OR IGNORE INTO isthmus_group (log, name) VALUES (?, ?)"
_NUMBER = "SELECT number FROM isthmus_group WHERE log = ? AND name = ?"
_BEGIN = "INSERT OR IGNORE INTO isthmus_position (reader, partition, next) VALUES (?, ?, ?)"
_SEEK = """
INSERT INTO isthmus_position (reader, partition, next) VALUES (?1, ?2, ?3)
ON CONFLICT DO UPDATE SET next = ?3, owner = ''
"""
_TURN = "UPDATE isthmus_group SET generation = generation + 1 WHERE number = ?"
_GENERATION = "SELECT generation FROM isthmus_group WHERE number = ?"
_CUT = "UPDATE isthmus_member SET until = ?2 + span WHERE reader = ?1 AND until > ?2 + span"
_BURY = "DELETE FROM isthmus_member WHERE reader = ? AND until <= ? AND name <> ?"
_ATTEND = """
INSERT INTO isthmus_member (reader, name, until, span) VALUES (?1, ?2, ?3, ?4)
ON CONFLICT (reader, name) DO UPDATE SET until = ?3, span = ?4
"""
_MEMBERS = "SELECT name, until FROM isthmus_member WHERE reader = ? ORDER BY seat"
_LEAVE = "DELETE FROM isthmus_member WHERE reader = ? AND name = ?"
_POSITIONS = "SELECT partition, next, owner, epoch FROM isthmus_position WHERE reader = ?"
_TAKE = """
UPDATE isthmus_position SET owner = ?, epoch = epoch + 1 WHERE reader = ? AND partition = ?
"""
_RELEASE = """
UPDATE isthmus_position SET owner = ''
WHERE reader = ? AND partition = ? AND owner = ? AND epoch = ?
"""
_COMMIT = "UPDATE isthmus_position SET next = ? WHERE reader = ? AND partition = ?"


class Group(NamedTuple):
    """A group's number, and its log."""

    number: int
    log: int

    @classmethod
    def enter(cls, db: Connection, log: int, name: str) -> "Group":
        """Find the group, or found it."""
        db.execute(_ENTER, (log, name))
        return cls(db.execute(_NUMBER, (log, name)).fetchone()[0], log)

    def begin(self, db: Connection, positions: Mapping[int, int]) -> None:
        """Set where the group begins, in partitions that it has no position in."""
        db.executemany(_BEGIN, [(self.number, *place) for place in positions.items()])

    def seek(self, db: Connection, positions: Mapping[int, int]) -> None:
        db.executemany(_SEEK, [(self.number, *place) for place in positions.items()])
        self.turn(db)

    def turn(self, db: Connection) -> None:
        """Let every member look again at who owns what."""
        db.execute(_TURN, (self.number,))
        db.wake(channel_of(self.log))

    def sit(self, db: Connection, member: str, *, session: float, now: float) -> None:
        """Note that `member` is alive, and bury who was not for its session."""
        before = self.members(db).keys()
        db.execute(_CUT, (self.number, now))
        db.execute(_BURY, (self.number, now, member))
        db.execute(_ATTEND, (self.number, member, now + session, session))
        if self.members(db).keys() != before:
            self.turn(db)

    def members(self, db: Connection) -> dict[str, float]:
        """Return until when each member counts as alive."""
        return dict(db.execute(_MEMBERS, (self.number,)).fetchall())

    def generation(self, db: Connection) -> int:
        return db.execute(_GENERATION, (self.number,)).fetchone()[0]


class Seat(NamedTuple):
    """What a member has, once it has attended."""

    owned: Mapping[int, int]
    """Partition -> epoch."""
    revoking: frozenset[int]
    positions: Mapping[int, int]
    generation: int
    due_at: float
    """When the session of another ends, unless it attends."""


@dataclass(frozen=True, slots=True)
class Attendance:
    """Note that `member` is alive at `now`; give it what it may have."""

    group: Group
    member: str
    session: float
    now: float

    def __call__(self, db: Connection) -> Seat:
        self.group.sit(db, self.member, session=self.session, now=self.now)
        members = self.group.members(db)
        rows = db.execute(_POSITIONS, (self.group.number,)).fetchall()
        owners = {partition: owner for partition, _, owner, _ in rows if owner in members}
        mine = sorted(partition for partition, owner in owners.items() if owner == self.member)
        rank = list(members).index(self.member)
        share = share_of(rank, members=len(members), partitions=len(rows))
        free = [partition for partition, *_ in rows if partition not in owners]
        taken = free[: max(0, share - len(mine))]
        db.executemany(_TAKE, [(self.member, self.group.number, each) for each in taken])
        if taken:
            self.group.turn(db)
        others = [until for name, until in members.items() if name != self.member]
        return Seat(
            owned={p: epoch + (p in taken) for p, _, _, epoch in rows if p in mine or p in taken},
            revoking=frozenset(mine[share:]),
            positions={partition: next_ for partition, next_, *_ in rows},
            generation=self.group.generation(db),
            due_at=min(others, default=inf),
        )


@dataclass(frozen=True, slots=True)
class Holding:
    """Partitions as a member owns them: under these epochs, or no longer."""

    group: Group
    member: str
    epochs: Mapping[int, int]

    def release(self, db: Connection) -> None:
        rows = [(self.group.number, p, self.member, epoch) for p, epoch in self.epochs.items()]
        db.executemany(_RELEASE, rows)
        self.group.turn(db)

    def leave(self, db: Connection) -> None:
        db.execute(_LEAVE, (self.group.number, self.member))
        self.release(db)


class Fence(NamedTuple):
    """What must still be held, and where the group then goes on."""

    holding: Holding
    positions: Mapping[int, int]


def fence(db: Connection, fences: Sequence[Fence]) -> list[LeaseLostError | None]:
    """Set all positions, but none of a fence of which something is lost."""
    owners: dict[int, dict[int, tuple[str, int]]] = {}
    reached: dict[tuple[int, int], int] = {}
    answers: list[LeaseLostError | None] = []
    for holding, positions in fences:
        number = holding.group.number
        if number not in owners:
            owners[number] = _owners(db, number)
        held = owners[number]
        lost = [p for p, epoch in holding.epochs.items() if held.get(p) != (holding.member, epoch)]
        answers.append(LeaseLostError(lost, what="partition") if lost else None)
        if not lost:
            reached.update({(number, partition): next_ for partition, next_ in positions.items()})
    db.executemany(_COMMIT, [(next_, *place) for place, next_ in reached.items()])
    return answers


def _owners(db: Connection, group: int) -> dict[int, tuple[str, int]]:
    rows = db.execute(_POSITIONS, (group,)).fetchall()
    return {partition: (owner, epoch) for partition, _, owner, epoch in rows}


def share_of(rank: int, *, members: int, partitions: int) -> int:
    """Return how many partitions are the share of the member that came as number `rank`, from 0.

    Who comes last takes from others as few as can be; when one goes, no share shrinks.
    """
    each, rest = divmod(partitions, members)
    return each + (rank < rest)
