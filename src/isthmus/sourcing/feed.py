"""All events of one aggregate type, in one order, from a place on; and maybe on and on."""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from typing import Any

from isthmus.contracts import LogEngine, Record
from isthmus.sourcing.events import Events
from isthmus.sourcing.recorded import Recorded
from isthmus.streams.reading import read_from
from isthmus.streams.replay import To, offsets_at

__all__ = ["Feed"]

PAGE = 1000
WAIT = 60.0


class Feed:
    """Yields events; read once. `position` is where another reader would go on.

    With one partition the order is that of the commits. With several, each partition, and so
    each aggregate, is in order; those that are there already are merged by the time of
    appending, those that come are yielded as they come.
    """

    def __init__(
        self, log: LogEngine, name: str, events: Events, *, start: To, follow: bool
    ) -> None:
        self._log, self._name, self._events = log, name, events
        self._start: To = start
        self._follow = follow
        self._reading: AsyncGenerator[Recorded[Any]] | None = None
        self.position: Mapping[int, int] = {}
        """The offset that comes next in each partition; empty before anything was asked for."""

    def __aiter__(self) -> AsyncIterator[Recorded[Any]]:
        self._reading = self._all()
        return self._reading

    async def aclose(self) -> None:
        """End it: for `aclosing(feed)`, where reading is left half-way."""
        if self._reading is not None:
            await self._reading.aclose()

    async def _all(self) -> AsyncGenerator[Recorded[Any]]:
        self.position = places = dict(await offsets_at(self._log, self._name, self._start))
        recorded = self._events.recorded
        async with aclosing(self._pages(places)) as pages:
            async for page in pages:
                for record in await self._events.opened(page):
                    event = recorded(record)
                    places[record.partition] = record.offset + 1
                    yield event

    async def _pages(self, places: Mapping[int, int]) -> AsyncGenerator[Sequence[Record]]:
        if len(places) == 1:
            async with aclosing(self._one(*places)) as pages:
                async for page in pages:
                    yield page
            return
        starts = dict(places)
        async with aclosing(read_from(self._log, self._name, starts, on=self._follow)) as records:
            async for record in records:
                yield (record,)

    async def _one(self, partition: int) -> AsyncGenerator[Sequence[Record]]:
        ends = await self._log.offsets(self._name, at="end")
        offset, end = self.position[partition], ends[partition]
        while self._follow or offset < end:
            page = await self._log.read(
                self._name, partition, offset=offset, limit=PAGE, wait=WAIT if self._follow else 0.0
            )
            if page:
                offset = page[-1].offset + 1
                yield page if self._follow or offset <= end else _below(page, end)
            elif not self._follow:
                return


def _below(page: Sequence[Record], end: int) -> Sequence[Record]:
    return [record for record in page if record.offset < end]
