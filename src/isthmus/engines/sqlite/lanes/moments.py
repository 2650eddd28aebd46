"""What time it is, for those who lease."""

from isthmus.engines.sqlite.database.connection import Connection
from isthmus.engines.sqlite.database.database import Database

__all__ = ["Moments"]

_CUT = (
    "UPDATE isthmus_lease SET until = ?1 + span WHERE until > ?1 + span",
    "UPDATE isthmus_single SET ready_at = ?1 + span WHERE token <> 0 AND ready_at > ?1 + span",
)


class Moments:
    """The clock's moments; when it has gone back, no lease lasts longer than it was given for.

    It may have gone back before this process began, too.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._latest = float("inf")

    async def now(self) -> float:
        now = self._database.clock.now()
        stepped = now < self._latest
        self._latest = now
        if stepped:
            await self._database.write(lambda db: _cut(db, now), lazy=True)
        return now


def _cut(db: Connection, now: float) -> None:
    for statement in _CUT:
        db.execute(statement, (now,))
