"""What time it is, for those who lease."""

from isthmus.engines.postgres.database.database import Database
from isthmus.engines.postgres.database.steps import Function

__all__ = ["Moments"]

_CUT = Function.of("cut_leases", "float8")
_STEP_BACK = Function.of("step_back", "float8")


class Moments:
    """The clock's moments; when it has gone back, no lease lasts longer than it was given for.

    It may have gone back before this process began, too.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._latest: float | None = None

    async def now(self) -> float:
        now = self._database.now()
        latest, self._latest = self._latest, now
        if latest is None:
            await self._database.call(_CUT.call(now), lazy=True)
        elif now < latest:
            await self._database.call(_STEP_BACK.call(now), lazy=True)
        return now
