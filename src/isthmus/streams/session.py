"""One membership of a group, from joining to leaving.

    read ──► docket ──► attempt ──► position, or note
      │                    │
      └── tenure: partitions come and go

What is read ahead is bounded; beyond that, reading waits for the handlers.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from itertools import groupby
from operator import attrgetter

from isthmus.contracts import Member, Record
from isthmus.errors import IsthmusError, UnavailableError
from isthmus.handling.calling.handler import Invoke
from isthmus.handling.consuming.intermission import Intermission
from isthmus.handling.facts import ConsumerStalled
from isthmus.handling.host import Host
from isthmus.streams.attempts import Attempts
from isthmus.streams.desk import Desk
from isthmus.streams.docket import Docket, window
from isthmus.streams.facts import LagMeasured
from isthmus.streams.notes import Notes
from isthmus.streams.options import GroupOptions
from isthmus.streams.parked import beside_the_rows
from isthmus.streams.parking import Parking
from isthmus.streams.place import Place
from isthmus.streams.positions import Positions
from isthmus.streams.progress import Progress
from isthmus.streams.suspects import Suspects
from isthmus.streams.tenure import Tenure

__all__ = ["Session"]

PAGE = 512
"""Records read at once at most; more with large batches."""
SPREAD = 16 * 1024
"""Records of one partition at most between the lowest that is not done and the newest."""
MEASURED = 5.0
"""Seconds between two measurements of the lag, while somebody listens."""

_partition = attrgetter("partition")


class Session:
    """One member's work; `broken` tells why it ended by itself, `stopped` what it stopped at."""

    def __init__(
        self, host: Host, of: Place, options: GroupOptions, invoke: Invoke, member: Member
    ) -> None:
        self._host, self._of, self._options, self._member = host, of, options, member
        self._beat = (options.session or host.settings.session) / 3
        self._page = max(PAGE, 4 * options.batch)
        self._ended = asyncio.Event()
        self.broken: Exception | None = None
        self.stopped: Exception | None = None
        self._wire(beside_the_rows(host), invoke)

    def _wire(self, host: Host, invoke: Invoke) -> None:
        """Connect the parts; `host` is `beside_the_rows`."""
        options, store = self._options, host.store
        notes, parking = Notes(store, self._of), Parking(store, host.letters, self._of)
        suspects = Suspects(store, self._of, reach=window(options))
        self._tenure = Tenure(
            self._host,
            self._of,
            self._member,
            notes=notes,
            suspects=suspects,
            parking=parking,
            dropped=self._drop,
            broken=self._break,
        )
        scope = self._host.log.capabilities.scope
        self._positions = Positions(
            store,
            self._member,
            notes,
            one_scope=scope != "" and scope == store.capabilities.scope,
            moved=self._tenure.release_if_done,
            broken=self._break,
        )
        self._intermission = Intermission(host, self._of.address, began=_nothing)
        attempts = Attempts(
            host,
            self._of,
            options,
            invoke,
            positions=self._positions,
            parking=parking,
            notes=notes,
            desk=Desk(host, self._of, options, parking=parking, positions=self._positions),
            intermission=self._intermission,
            ended=self._ended,
            broken=self._break,
            stopped=self._stop,
        )
        self._docket = Docket(
            host,
            options,
            attempts=attempts,
            suspects=suspects,
            ended=self._ended,
            over=self._tenure.release_if_done,
            broken=self._break,
        )

    async def run(self) -> None:
        """Read and handle until ended; what was begun is done when it returns."""
        watch = asyncio.create_task(self._watch())
        try:
            await self._read_on()
            if self.broken is None:
                await self._finish()
        finally:
            watch.cancel()
            self._intermission.close()
            self._docket.abandon()
            if self.broken is not None:
                await self._tenure.outlive()
            self._tenure.forsake()

    async def end(self) -> None:
        """Begin nothing more; `run` returns once what was begun is done."""
        self._ended.set()
        self._docket.hungry.set()
        self._intermission.stir()
        await self._member.drain()

    @property
    def in_hand(self) -> Sequence[str]:
        """How far each partition is, and how much of it is read ahead."""
        return [
            f"{each.partition}:{each.position}:{each.committed}:{each.spread}:{each.running}"
            for each in self._tenure
        ]

    async def _read_on(self) -> None:
        while not self._ended.is_set():
            try:
                records = await self._read()
            except UnavailableError as error:
                self._tell_stall(error)
                await self._host.clock.wait(self._ended, 1.0)
                continue
            try:
                await self._tenure.adjust()
                self._take(records)
                await self._docket.begin()
            except IsthmusError as error:  # what was read is lost to this member: read it again
                self._break(error)

    async def _read(self) -> Sequence[Record]:
        if room := self._room:
            return await self._member.read(min(self._page, room), wait=self._beat)
        self._docket.hungry.clear()
        await self._member.read(0, wait=0.0)  # a sign of life, and a look at who else is alive
        await self._host.clock.wait(self._docket.hungry, self._beat / 3)
        return ()

    @property
    def _room(self) -> int:
        if any(each.spread > SPREAD for each in self._tenure):
            return 0
        return self._docket.room

    def _take(self, records: Sequence[Record]) -> None:
        for partition, part in groupby(records, _partition):
            if (progress := self._tenure.of(partition)) is None:
                continue  # whoever takes it next reads it again
            self._docket.take(progress, progress.begin(list(part)))
            self._positions.finished(progress, ())

    def _drop(self, progress: Progress) -> None:
        self._docket.drop(progress)

    # --- watching ---------------------------------------------------------------------------

    async def _watch(self) -> None:
        """Cut what takes too long; be alive while the last handlers finish."""
        clock, timeout = self._host.clock, self._options.timeout
        measured = clock.now()
        while True:
            await clock.sleep(min(1.0, timeout / 2, self._beat))
            now = clock.now()
            self._docket.cut_late(now, timeout=timeout)
            with suppress(IsthmusError):
                if self._ended.is_set():
                    await self._member.read(0, wait=0.0)
                if now - measured >= MEASURED and self._host.signals.wanted(LagMeasured):
                    measured = now
                    await self._measure()

    async def _measure(self) -> None:
        ends = await self._host.log.offsets(self._of.stream, at="end")
        positions = await self._host.log.positions(self._of.stream, self._of.group)
        for partition in [progress.partition for progress in self._tenure]:
            behind = max(0, ends[partition] - positions.get(partition, 0))
            self._host.signals.emit(
                LagMeasured(address=self._of.address, partition=partition, behind=behind)
            )

    # --- ending -----------------------------------------------------------------------------

    async def _finish(self) -> None:
        """Let what runs finish; leave the rest, and the group, to others."""
        await self._docket.finish()
        await self._positions.done()
        if self.broken is None:
            await self._tenure.end()

    def _break(self, error: Exception) -> None:
        """It is not known what was written: end, join anew, and read it again."""
        if self.broken is None:
            self.broken = error
            self._tell_stall(error)
            self._end_soon()

    def _stop(self, error: Exception) -> None:
        self.stopped = self.stopped or error
        self._end_soon()

    def _end_soon(self) -> None:
        self._ended.set()
        self._ending = asyncio.create_task(self.end())

    def _tell_stall(self, error: Exception) -> None:
        self._host.signals.emit(ConsumerStalled(address=self._of.address, error=str(error)))


def _nothing() -> None:
    """What is in hand waits where it is."""
