"""Copying all events of one aggregate type into a file, in their order."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import aclosing
from pathlib import Path
from typing import BinaryIO, NamedTuple

from isthmus.contracts import Record
from isthmus.errors import ConfigError, CorruptedError
from isthmus.handling.host import Host
from isthmus.sourcing.copied import End, Event, Head, Subject, copied, line, parsed
from isthmus.sourcing.keys import Keys
from isthmus.streams.reading import history

__all__ = ["Progress", "export"]

Progress = Callable[[int], None]
"""Told now and then how many events are copied."""

CHUNK = 1000
"""Events that are written at once."""


async def export(
    home: Host, name: str, path: Path, *, keys: bool = False, progress: Progress | None = None
) -> int:
    """Copy what is there when it is begun; return how many events the file has.

    A copy that was broken off goes on where it was, to the same end. `keys` copies the keys of
    personal data too: without them nobody who is given the file can read those.

    Raises:
        ConfigError: The file is a whole copy already, or one of other events.
        CorruptedError: It is no copy of events.
        NotFoundError: There is no such aggregate type.
    """
    begun = await _begun(home, name, path)
    log, count = home.log, begun.events
    with path.open("ab") as file:
        async with aclosing(history(log, name, begun.places, begun.head.ends)) as records:
            async for chunk in _chunks(records):
                await asyncio.to_thread(_write, file, [copied(record) for record in chunk])
                count += len(chunk)
                if progress is not None:
                    progress(count)
        last = await _keys(home, name) if keys else []
        await asyncio.to_thread(_write, file, [*last, line(End(events=count))])
        await asyncio.to_thread(_sync, file)
    return count


class _Begun(NamedTuple):
    """What a file has already."""

    head: Head
    places: Mapping[int, int]
    """The offset that comes next in each partition."""
    events: int


async def _begun(home: Host, name: str, path: Path) -> _Begun:
    first = await home.log.offsets(name, at="first")
    if (found := await asyncio.to_thread(_found, path, dict(first))) is not None:
        if found.head.aggregate != name:
            raise ConfigError(f"{path} has events of {found.head.aggregate!r}, not of {name!r}")
        return found
    ends = await home.log.offsets(name, at="end")
    head = Head(aggregate=name, partitions=len(ends), ends=ends, at=home.clock.now())
    await asyncio.to_thread(path.write_bytes, line(head) + b"\n")
    return _Begun(head, first, 0)


def _found(path: Path, places: dict[int, int]) -> _Begun | None:
    """Read how far a copy came, and cut off the line in which it was broken off; None if there
    is none, or that was its first."""
    head: Head | None = None
    whole, count = 0, 0
    if not path.exists():
        return None
    with path.open("rb") as file:
        for number, text in enumerate(file, start=1):
            if not text.endswith(b"\n"):
                break
            found = parsed(text, where=f"{path}, line {number}")
            if isinstance(found, End):
                raise ConfigError(f"{path} is a whole copy already; give another name")
            if number == 1 and not isinstance(found, Head):
                raise CorruptedError(f"{path} does not begin as a copy of events does")
            if isinstance(found, Subject):
                break  # keys are copied last, and anew
            if isinstance(found, Head):
                head = found
            elif isinstance(found, Event):
                places[found.partition], count = found.offset + 1, count + 1
            whole += len(text)
    os.truncate(path, whole)
    return head and _Begun(head, places, count)


async def _keys(home: Host, name: str) -> list[bytes]:
    found = await Keys(home.store, name).all()
    return [line(Subject(subject=subject, secret=secret)) for subject, secret in found.items()]


async def _chunks(records: AsyncIterator[Record]) -> AsyncIterator[list[Record]]:
    chunk = list[Record]()
    async for record in records:
        chunk.append(record)
        if len(chunk) == CHUNK:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def _write(file: BinaryIO, lines: list[bytes]) -> None:
    file.write(b"".join(text + b"\n" for text in lines))
    file.flush()


def _sync(file: BinaryIO) -> None:
    os.fsync(file.fileno())
