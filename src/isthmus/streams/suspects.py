"""Records that kill their process are found, and given up, without burying others.

A log counts no crashes. So whoever takes a partition leaves a note, and takes it
away when it leaves in peace. Found by the next, the note says that its holder
died. After two such deaths the first records of the partition are suspects: each
is handled with nothing beside it, after it was written into the note. A record
found there that was tried alone three times is what kills: others of the process
may have killed it once or twice, just then.
"""

from collections.abc import Collection, Sequence

import msgspec

from isthmus.contracts import Put, Record, StoreEngine
from isthmus.streams.place import Place

__all__ = ["Suspects"]

DEATHS, TRIES = 2, 3


class _Note(msgspec.Struct, frozen=True, array_like=True):
    deaths: int = 0
    """How many holders died one after the other."""
    alone: int = -1
    """The offset that the last of them tried alone, if any."""
    tries: int = 0
    """How often that was."""


class Suspects:
    """The notes of one group about the partitions this process has.

    `reach`: how many records a holder may have had in hand when it died.
    """

    def __init__(self, store: StoreEngine, of: Place, *, reach: int) -> None:
        self._store, self._space, self._reach = store, of.holders, reach
        self._notes: dict[int, _Note] = {}
        self._left: dict[int, int] = {}  # records until a partition is above suspicion

    async def take(self, partitions: Collection[int]) -> None:
        """These were taken: note it, and learn what became of their holders."""
        keys = [str(partition) for partition in partitions]
        found = await self._store.get(self._space, keys)
        for partition in partitions:
            before = found.get(str(partition))
            self._notes[partition] = _Note() if before is None else _after_death(before.value)
            self._left[partition] = self._reach
        await self._put(partitions)

    async def leave(self, partitions: Collection[int]) -> None:
        """These are left in peace."""
        for partition in partitions:
            self._notes.pop(partition, None)
        puts = [Put(str(partition), None) for partition in partitions]
        await self._store.put(self._space, puts)

    async def suspected(self, partition: int, records: Sequence[Record]) -> int:
        """Return how many of the next `records` have to be tried alone."""
        deaths, left = self._notes[partition].deaths, self._left[partition]
        if deaths >= DEATHS:
            return min(len(records), left)
        if deaths and left + self._reach > 0:  # all that may kill is done once twice the reach is
            await self._count_down(partition, len(records), until=-self._reach)
        return 0

    async def try_alone(self, record: Record) -> str:
        """Note that `record` is tried alone next; or return why it must not be."""
        note = self._notes[record.partition]
        tries = note.tries if note.alone == record.offset else 0
        if tries >= TRIES:
            return (
                f"killed its process: {note.deaths} holders died or hung, "
                f"{tries} of them with nothing else in hand"
            )
        self._notes[record.partition] = _Note(note.deaths, record.offset, tries + 1)
        await self._put([record.partition])
        return ""

    async def cleared(self, partition: int) -> None:
        """One more suspect is done; the last of them ends the suspicion."""
        if partition in self._notes:
            await self._count_down(partition, 1, until=0)

    async def _count_down(self, partition: int, count: int, *, until: int) -> None:
        self._left[partition] -= count
        if self._left[partition] <= until:
            self._notes[partition] = _Note()
            await self._put([partition])

    async def _put(self, partitions: Collection[int]) -> None:
        puts = [Put(str(each), msgspec.msgpack.encode(self._notes[each])) for each in partitions]
        await self._store.put(self._space, puts)


def _after_death(note: bytes) -> _Note:
    before = msgspec.msgpack.decode(note, type=_Note)
    return _Note(before.deaths + 1, before.alone, before.tries)
