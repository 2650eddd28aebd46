"""Reading a stream without a group: from a place on, and maybe on and on."""

import asyncio
import heapq
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing
from datetime import datetime

from isthmus.contracts import LogEngine, Record
from isthmus.errors import ConfigError
from isthmus.streams.replay import offsets_at

__all__ = ["follow", "history", "places", "read_from"]

PAGE = 500
AHEAD = 2 * PAGE
"""Records read ahead of a follower."""
WAIT = 60.0


async def places(
    log: LogEngine,
    stream: str,
    *,
    since: datetime | float | None,
    offset: int | Mapping[int, int] | None,
    partition: int | None,
) -> Mapping[int, int]:
    """Return the offset at which to begin in each partition that is to be read.

    Raises:
        ConfigError: They contradict each other, or an offset lacks its partition.
        NotFoundError: There is no such partition.
    """
    if since is not None and offset is not None:
        raise ConfigError("read from a moment (since=) or from an offset, not from both")
    if isinstance(offset, int):
        if partition is None:
            raise ConfigError(f"offset={offset} of which partition? Give partition= too")
        return await offsets_at(log, stream, {partition: offset})
    to = since if since is not None else "start" if offset is None else offset
    starts = await offsets_at(log, stream, to)
    if partition is None:
        return starts
    return await offsets_at(log, stream, {partition: starts.get(partition, 0)})


async def read_from(
    log: LogEngine, stream: str, starts: Mapping[int, int], *, on: bool
) -> AsyncGenerator[Record]:
    """Yield what is there from `starts` on; and, if `on`, what comes, without end."""
    ends = await log.offsets(stream, at="end")
    async with aclosing(history(log, stream, starts, ends)) as past:
        async for record in past:
            yield record
    if on:
        ahead = {partition: max(start, ends[partition]) for partition, start in starts.items()}
        async with aclosing(follow(log, stream, ahead)) as coming:
            async for record in coming:
                yield record


async def history(
    log: LogEngine, stream: str, starts: Mapping[int, int], ends: Mapping[int, int]
) -> AsyncGenerator[Record]:
    """Yield the records from `starts` up to `ends`, those of each partition in order,
    and all of them by the time they were appended."""
    pages = {p: _pages(log, stream, p, start, ends[p]) for p, start in starts.items()}
    heads: list[tuple[float, int, Record]] = []
    for partition, records in pages.items():
        await _push(heads, partition, records)
    while heads:
        _, partition, record = heapq.heappop(heads)
        yield record
        await _push(heads, partition, pages[partition])


async def follow(log: LogEngine, stream: str, starts: Mapping[int, int]) -> AsyncGenerator[Record]:
    """Yield the records from `starts` on as they come, without end."""
    found = asyncio.Queue[Record | Exception](AHEAD)
    readers = [
        asyncio.create_task(_read_on(log, stream, partition, start, found))
        for partition, start in starts.items()
    ]
    try:
        while True:
            record = await found.get()
            if isinstance(record, Exception):
                raise record
            yield record
    finally:
        for reader in readers:
            reader.cancel()
        await asyncio.gather(*readers, return_exceptions=True)


async def _push(
    heads: list[tuple[float, int, Record]], partition: int, records: AsyncIterator[Record]
) -> None:
    if (record := await anext(records, None)) is not None:
        heapq.heappush(heads, (record.at, partition, record))


async def _pages(
    log: LogEngine, stream: str, partition: int, start: int, end: int
) -> AsyncGenerator[Record]:
    while start < end:
        page = await log.read(stream, partition, offset=start, limit=PAGE)
        for record in page:
            if record.offset >= end:
                return
            yield record
        if not page:
            return
        start = page[-1].offset + 1


async def _read_on(
    log: LogEngine,
    stream: str,
    partition: int,
    start: int,
    found: "asyncio.Queue[Record | Exception]",
) -> None:
    try:
        while True:
            page = await log.read(stream, partition, offset=start, limit=PAGE, wait=WAIT)
            for record in page:
                await found.put(record)
                start = record.offset + 1
    except Exception as error:  # noqa: BLE001 - raised where the records are awaited
        await found.put(error)
