"""Parked keys: what failed waits aside with all that follows it, and others flow.

A record that fails is sent to an ordered queue in the store's scope, and its key
is marked, in one transaction. While the mark is there, later records of the key
are sent after it. Each that is sent is the last for now, and leaves its ticket
in the mark; whoever settles the one whose ticket is there removes the mark in
the same transaction, so that the next record is handled where it is read.

Only the partition's owner parks, so it alone knows which keys may be marked;
versions decide between a record that is parked and the last that is settled.
"""

from collections.abc import Mapping, Sequence

from isthmus.contracts import Put, QueueEngine, Record, StoreEngine, Transaction
from isthmus.errors import ConflictError
from isthmus.message import Message, new_id
from isthmus.streams.origin import with_origin
from isthmus.streams.place import Place

__all__ = ["TICKET", "Parking", "unmarked"]

TICKET = "isthmus-ticket"
"""Header of the parked record that was the last of its key when it was parked."""

PAGE = 1000


class Parking:
    """The parked keys of one group, as the owner of their partitions sees them."""

    def __init__(self, store: StoreEngine, queue: QueueEngine, of: Place) -> None:
        self._store, self._queue, self._of = store, queue, of
        self._keys = set[str]()  # of all that are marked, and of some that no longer are

    async def load(self) -> None:
        """Look which keys are marked, after partitions were taken from others."""
        after = ""
        while page := await self._store.scan(self._of.marks, after=after, limit=PAGE):
            self._keys.update(key for key, _ in page)
            after = page[-1][0]

    async def sort(self, records: Sequence[Record]) -> tuple[Sequence[Record], Sequence[Record]]:
        """Return (what may be handled, what has to follow a parked one)."""
        if not self._keys:
            return records, ()
        asked = self._keys.intersection([record.message.key for record in records])
        if not asked:
            return records, ()
        marked = await self._store.get(self._of.marks, list(asked))
        self._keys -= asked - marked.keys()
        direct = [record for record in records if record.message.key not in marked]
        return direct, [record for record in records if record.message.key in marked]

    async def park(
        self, record: Record, headers: Mapping[str, str], *, delay: float, tx: Transaction
    ) -> None:
        """Send a record that failed aside, and mark its key."""
        message = with_origin(record).with_headers(headers)
        if key := message.key:
            self._keys.add(key)
            found = (await self._store.get(self._of.marks, [key])).get(key)
            message = await self._mark(message, 0 if found is None else found.version, tx)
        await self._queue.send(self._of.topic, [message], delay=delay, tx=tx)

    async def follow(self, records: Sequence[Record], *, tx: Transaction) -> None:
        """Send `records` after those of their keys that are parked.

        Raises:
            ConflictError: A key is parked no longer; sort them again.
        """
        last = {record.message.key: record for record in records}
        marked = await self._store.get(self._of.marks, list(last))
        messages: list[Message] = []
        for record in records:
            message = with_origin(record)
            if last[message.key] is record:
                if (found := marked.get(message.key)) is None:
                    raise ConflictError(
                        f"{message.key!r} of {self._of.address!r} is parked no longer",
                        subject=f"{self._of.marks}/{message.key}",
                    )
                message = await self._mark(message, found.version, tx)
            messages.append(message)
        await self._queue.send(self._of.topic, messages, tx=tx)

    async def _mark(self, message: Message, version: int, tx: Transaction) -> Message:
        ticket = new_id()
        mark = Put(message.key, ticket.encode(), version)
        await self._store.put(self._of.marks, [mark], tx=tx)
        return message.with_headers({TICKET: ticket})


async def unmarked(
    store: StoreEngine, of: Place, tickets: Mapping[str, str], *, tx: Transaction
) -> None:
    """Have `tx` remove the marks of those keys whose `tickets` (by key) are in them.

    Raises:
        ConflictError: By the commit: one more of a key was parked meanwhile.
    """
    found = await store.get(of.marks, list(tickets))
    puts = [
        Put(key, None, entry.version)
        for key, entry in found.items()
        if entry.value.decode() == tickets[key]
    ]
    if puts:
        await store.put(of.marks, puts, tx=tx)
