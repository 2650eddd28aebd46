"""Records, as rows have them."""

from collections.abc import Sequence
from typing import Any

from isthmus.contracts import Record
from isthmus.engines.postgres.database.database import Database
from isthmus.engines.postgres.database.steps import Function
from isthmus.engines.postgres.packing import unpack
from isthmus.engines.postgres.records.appends import Shape

__all__ = ["pages", "record_of", "sequence"]

_SEQUENCE = Function.of("sequence", "int")
_PAGES = "SELECT * FROM isthmus.pages($1, $2, $3, $4)"


async def sequence(database: Database, log: int) -> None:
    """Give offsets to all that has been committed: to a bounded number at once."""
    while await database.call(_SEQUENCE.call(log)):
        pass


async def pages(
    database: Database, shape: Shape, places: Sequence[tuple[int, int]], limit: int
) -> list[Record]:
    """Return the records from each of these (partition, offset) on, at most `limit` of all."""
    parts = [shape.parts[number] for number, _ in places]
    numbers = dict(zip(parts, (number for number, _ in places), strict=True))
    offsets = [max(0, offset) for _, offset in places]
    rows = await database.rows(_PAGES, shape.log, parts, offsets, max(0, limit))
    return [record_of(row, numbers[row["part"]]) for row in rows]


def record_of(row: Any, partition: int) -> Record:
    """Return the record; its offset is -1 while it has none, before its commit."""
    place = row["place"]
    message = unpack(row["packed"])
    return Record(message, partition, -1 if place is None else place, row["at"], row["version"])
