"""Notes of what is done out of order.

A group's position says that everything before it is done. Keys are handled in
parallel, so what is done beyond it is noted in the same transaction, place by
place, and the note goes when the position has passed.
"""

from collections.abc import Collection

from isthmus.contracts import Put, StoreEngine, Transaction, Tx
from isthmus.errors import ConflictError
from isthmus.streams.place import Place

__all__ = ["Notes"]

PAGE = 1000


class Notes:
    """The places one group has done beyond its positions."""

    def __init__(self, store: StoreEngine, of: Place) -> None:
        self._store, self._space = store, of.done

    async def add(self, partition: int, offsets: Collection[int], *, tx: Transaction) -> None:
        """Have `tx` commit only if none of these was done before."""
        puts = [Put(_key(partition, offset), b"", 0) for offset in offsets]
        await self._store.put(self._space, puts, tx=tx)

    async def remove(self, partition: int, offsets: Collection[int], *, tx: Tx = None) -> None:
        puts = [Put(_key(partition, offset), None) for offset in offsets]
        await self._store.put(self._space, puts, tx=tx)

    async def seen(self, partition: int, offsets: Collection[int]) -> Collection[str]:
        """Return the keys of those that are noted."""
        return await self._store.get(self._space, [_key(partition, each) for each in offsets])

    async def load(self, partition: int) -> set[int]:
        """Return the offsets of a partition that are noted as done."""
        found, prefix = set[int](), _prefix(partition)
        after, full = prefix, True
        while full:
            page = await self._store.scan(self._space, after=after, limit=PAGE)
            keys = [key for key, _ in page if key.startswith(prefix)]
            found.update(int(key.removeprefix(prefix)) for key in keys)
            full = len(keys) == PAGE
            after = keys[-1] if keys else after
        return found

    async def clear(self, partitions: Collection[int]) -> None:
        """Forget what is done in these partitions."""
        for partition in partitions:
            await self.remove(partition, await self.load(partition))

    def refused(self, error: ConflictError) -> bool:
        """Whether `error` says that a place was done before."""
        return error.subject.startswith(f"{self._space}/")


def _prefix(partition: int) -> str:
    return f"{partition:06d}:"


def _key(partition: int, offset: int) -> str:
    return f"{_prefix(partition)}{offset:020d}"
