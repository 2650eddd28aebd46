"""Taking the events of a copy into a store: each once, at the version that it had."""

import asyncio
from collections.abc import Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import msgspec

from isthmus.contracts import Put, Transaction
from isthmus.errors import ConflictError, CorruptedError
from isthmus.handling.host import Host
from isthmus.handling.unit import repeat
from isthmus.sourcing.copied import End, Event, Head, Subject, parsed
from isthmus.sourcing.exporting import Progress
from isthmus.sourcing.keys import Keys

__all__ = ["Imported", "import_events"]

SPACE = "imports"
CHUNK = 500
"""Events of one transaction."""


class Imported(NamedTuple):
    """What came of a copy."""

    added: int
    passed: int
    """Events that were there already."""


class _Place(msgspec.Struct, frozen=True):
    """How far a file was taken in: kept with what was."""

    bytes: int
    added: int
    passed: int
    whole: bool = False
    """Whether all of it was."""


async def import_events(
    home: Host, name: str, path: Path, *, progress: Progress | None = None
) -> Imported:
    """Take in all events of a file; what was broken off goes on where it was.

    Events that are there already, the same by id and version, are passed over. They have the
    ids, versions and moments of the copy; their order in the feed is that of the file.

    Raises:
        CorruptedError: It is no copy of events, or not a whole one; what stands before the
            fault is taken in.
        ConflictError: An aggregate has other events; likewise.
        ConfigError: The aggregate type has other partitions here, and no versions.
    """
    taking = _Taking(home, name, path)
    with path.open("rb") as file:
        await taking.begin(file)
        while not taking.ended:
            await taking.take(file)
            if progress is not None:
                progress(taking.place.added + taking.place.passed)
    return Imported(taking.place.added, taking.place.passed)


class _Taking:
    """One file, being taken in."""

    def __init__(self, home: Host, name: str, path: Path) -> None:
        self._home, self._name, self._path = home, name, path
        self._key = ""
        self.place = _Place(0, 0, 0)

    @property
    def ended(self) -> bool:
        return self.place.whole

    async def begin(self, file: BinaryIO) -> None:
        text = file.readline()
        head = parsed(text, where=f"{self._path}, line 1")
        if not isinstance(head, Head):
            raise CorruptedError(f"{self._path} does not begin as a copy of events does")
        if self._name not in await self._home.log.logs():
            await self._home.log.declare(self._name, partitions=head.partitions, versioned=True)
        self._key = f"{self._name}/{sha256(text).hexdigest()[:24]}"
        kept = (await self._home.store.get(SPACE, [self._key])).get(self._key)
        self.place = _Place(len(text), 0, 0)
        if kept is not None:
            self.place = msgspec.json.decode(kept.value, type=_Place)
        file.seek(self.place.bytes)

    async def take(self, file: BinaryIO) -> None:
        """Take in a chunk, and note in the same transaction how far that is."""
        lines = await asyncio.to_thread(_lines, file)
        end = self.place.bytes + sum(map(len, lines))
        found = [self._parsed(text) for text in lines]
        await self._add_keys([each for each in found if isinstance(each, Subject)])
        events = [each for each in found if isinstance(each, Event)]
        whole = bool(found) and isinstance(found[-1], End)
        if not found:
            raise CorruptedError(
                f"{self._path} ends before its copy did: {self.place.added} events were added; "
                "copy the rest (`isthmus events export`), and import it again"
            )

        async def work(tx: Transaction) -> _Place:
            left = await self._left(events)
            await self._append(left, tx=tx)
            added, passed = self.place.added + len(left), self.place.passed
            place = _Place(end, added, passed + len(events) - len(left), whole)
            await self._home.store.put(SPACE, [Put(self._key, msgspec.json.encode(place))], tx=tx)
            return place

        self.place = await repeat(self._home.store, work)

    async def _append(self, events: Sequence[Event], *, tx: Transaction) -> None:
        expected = dict[str, int]()
        for event in events:
            expected.setdefault(event.key, event.version - 1)
        messages = [event.message for event in events]
        await self._home.log.append(self._name, messages, expected=expected, tx=tx)

    async def _left(self, events: Sequence[Event]) -> Sequence[Event]:
        """Return the events that are not there; those that are have to be the same."""
        left = list[Event]()
        for key, of in _by_key(events):
            after, limit = of[0].version - 1, len(of)
            there = await self._home.log.history(self._name, key, after=after, limit=limit)
            for event, record in zip(of, there, strict=False):
                if (record.version, record.message.id) != (event.version, event.id):
                    raise ConflictError(
                        f"event {event.version} of {key!r} is another one here "
                        f"({record.message.id}, not {event.id}); import into an empty store",
                        subject=f"{self._name}/{key}",
                    )
            left += of[len(there) :]
        there_not = {id(event) for event in left}
        return [event for event in events if id(event) in there_not]

    async def _add_keys(self, subjects: Sequence[Subject]) -> None:
        keys = Keys(self._home.store, self._name)
        for each in subjects:
            await keys.add(each.subject, each.secret)

    def _parsed(self, text: bytes) -> Any:
        return parsed(text, where=f"{self._path}, after {self.place.bytes} bytes")


def _lines(file: BinaryIO) -> Sequence[bytes]:
    """Read some whole lines; none if the file is over, or was broken off in the next one."""
    found = list[bytes]()
    while len(found) < CHUNK and (text := file.readline()).endswith(b"\n"):
        found.append(text)
    return found


def _by_key(events: Sequence[Event]) -> Iterator[tuple[str, Sequence[Event]]]:
    keys = dict[str, list[Event]]()
    for event in events:
        keys.setdefault(event.key, []).append(event)
    yield from keys.items()
