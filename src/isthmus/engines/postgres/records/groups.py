"""Groups of readers: found or founded by name, begun, and set elsewhere."""

from collections.abc import Mapping, Sequence

from isthmus.engines.postgres.database.database import Database
from isthmus.engines.postgres.database.steps import Function
from isthmus.engines.postgres.records.appends import Shape
from isthmus.engines.postgres.records.member import PostgresMember, new_name

__all__ = ["Groups"]

_ENTER = "INSERT INTO isthmus.reader (log, name) VALUES ($1, $2) ON CONFLICT DO NOTHING"
_READER = "SELECT reader FROM isthmus.reader WHERE log = $1 AND name = $2"
_BEGIN = """
INSERT INTO isthmus.position (reader, number, next)
SELECT $1, n.number, n.next FROM unnest($2::int[], $3::bigint[]) AS n(number, next)
ORDER BY n.number ON CONFLICT DO NOTHING
"""
_POSITIONS = """
SELECT p.number, p.next FROM isthmus.position p JOIN isthmus.reader r USING (reader)
WHERE r.log = $1 AND r.name = $2
"""
_GROUPS = "SELECT name FROM isthmus.reader WHERE log = $1"
_SIT = Function.of("sit", "int", "text", "float8", "float8")
_SEEK = Function.of("seek", "int", "int[]", "bigint[]")


class Groups:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def join(
        self, shape: Shape, group: str, begin: Mapping[int, int], *, session: float
    ) -> PostgresMember:
        """Enter the group; it begins there, in partitions that it has no position in."""
        reader, name = await self._enter(shape, group), new_name()
        await self._database.rows(_BEGIN, reader, list(begin), list(begin.values()))
        if await self._database.call(_SIT.call(reader, name, session, self._database.now())):
            self._database.tell([shape.channel])
        return PostgresMember(self._database, shape, reader, name, session=session)

    async def _enter(self, shape: Shape, group: str) -> int:
        reader = await self._database.value(_READER, shape.log, group)
        if reader is None:
            await self._database.rows(_ENTER, shape.log, group)
            reader = await self._database.value(_READER, shape.log, group)
        return reader

    async def positions(self, shape: Shape, group: str) -> Mapping[int, int]:
        return dict(await self._database.rows(_POSITIONS, shape.log, group))

    async def seek(self, shape: Shape, group: str, positions: Mapping[int, int]) -> None:
        reader = await self._enter(shape, group)
        numbers, nexts = list(positions), list(positions.values())
        await self._database.call(_SEEK.call(reader, numbers, nexts))
        self._database.tell([shape.channel])

    async def names(self, shape: Shape) -> Sequence[str]:
        return [name for (name,) in await self._database.rows(_GROUPS, shape.log)]
