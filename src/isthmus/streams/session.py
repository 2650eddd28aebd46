"""One membership of a group, from joining to leaving.

    read ──► suspects? ──► lanes ──► pool of slots ──► attempt ──► position, or note
      │        alone          ▲                           │
      └ partitions come       └────── next of its key ────┘
        and go

What is read ahead is bounded; beyond that, reading waits for the handlers.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from itertools import groupby
from operator import attrgetter

from isthmus.contracts import Member, Record
from isthmus.errors import IsthmusError, UnavailableError
from isthmus.handling.facts import ConsumerStalled
from isthmus.handling.handler import Invoke
from isthmus.handling.host import Host
from isthmus.handling.pool import Pool
from isthmus.streams.attempts import Attempts
from isthmus.streams.desk import Desk
from isthmus.streams.facts import LagMeasured
from isthmus.streams.lanes import Lanes, Run
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

WINDOW = 1024
"""Records in hand at most, read and not done; more with large batches or concurrency."""
PAGE = 512
"""Records read at once at most: what is read in larger pages is collected as garbage twice."""
SPREAD = 16 * 1024
"""Records of one partition at most between the lowest that is not done and the newest."""
MEASURED = 5.0
"""Seconds between two measurements of the lag, while somebody listens."""

_partition = attrgetter("partition")


class Session:
    """One member's work; `broken` tells why it ended by itself, if it did."""

    def __init__(
        self, host: Host, of: Place, options: GroupOptions, invoke: Invoke, member: Member
    ) -> None:
        self._host, self._of, self._options, self._member = host, of, options, member
        self._beat = (options.session or host.settings.session) / 3
        self._window = max(WINDOW, 2 * options.concurrency, 4 * options.batch)
        self._in_hand = 0
        self._waiting: deque[tuple[Progress, Sequence[Record]]] = deque()
        self._ended, self._hungry = asyncio.Event(), asyncio.Event()
        self._alone: asyncio.Task[None] | None = None
        self.broken: Exception | None = None
        self.stopped: Exception | None = None
        self._lanes = Lanes(batch=options.batch)
        self._pool: Pool[Run] = Pool(
            self._work,
            concurrency=options.concurrency,
            batch=1,
            linger=0.0,
            clock=host.clock,
            taken=_nothing,
        )
        self._wire(beside_the_rows(host), invoke)

    def _wire(self, host: Host, invoke: Invoke) -> None:
        """Connect the parts; `host` is `beside_the_rows`."""
        notes, parking = Notes(host.store, self._of), Parking(host.store, host.letters, self._of)
        self._suspects = Suspects(host.store, self._of, reach=self._window)
        self._tenure = Tenure(
            self._host,
            self._of,
            self._member,
            notes=notes,
            suspects=self._suspects,
            parking=parking,
            dropped=self._drop,
            broken=self._break,
        )
        scope = self._host.log.capabilities.scope
        self._positions = Positions(
            host.store,
            self._member,
            notes,
            one_scope=scope != "" and scope == host.store.capabilities.scope,
            moved=self._tenure.release_if_done,
            broken=self._break,
        )
        self._attempts = Attempts(
            host,
            self._of,
            self._options,
            invoke,
            positions=self._positions,
            parking=parking,
            notes=notes,
            desk=Desk(host, self._of, self._options, parking=parking, positions=self._positions),
            ended=self._ended,
            broken=self._break,
            stopped=self._stop,
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
            self._abandon()

    async def end(self) -> None:
        """Begin nothing more; `run` returns once what was begun is done."""
        self._ended.set()
        self._hungry.set()
        await self._member.drain()

    @property
    def in_hand(self) -> Sequence[str]:
        """How far each partition is, and how much of it is read ahead."""
        return [
            f"{each.partition}:{each.position}:{each.committed}:{each.spread}:{each.running}"
            for each in self._tenure
        ]

    # --- reading ----------------------------------------------------------------------------

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
                await self._begin()
            except IsthmusError as error:  # what was read is lost to this member: read it again
                self._break(error)

    async def _read(self) -> Sequence[Record]:
        if not self._full:
            room = min(PAGE, self._window - self._in_hand)
            return await self._member.read(room, wait=self._beat)
        self._hungry.clear()
        await self._member.read(0, wait=0.0)  # a sign of life, and a look at who else is alive
        await self._host.clock.wait(self._hungry, self._beat / 3)
        return ()

    @property
    def _full(self) -> bool:
        return self._in_hand > self._window // 2 or any(
            each.spread > SPREAD for each in self._tenure
        )

    def _take(self, records: Sequence[Record]) -> None:
        for partition, part in groupby(records, _partition):
            if (progress := self._tenure.of(partition)) is None:
                continue  # whoever takes it next reads it again
            to_do = progress.begin(list(part))
            self._positions.finished(progress, ())
            if to_do:
                self._in_hand += len(to_do)
                self._waiting.append((progress, to_do))

    async def _begin(self) -> None:
        """Have what waits handled, up to the first suspect."""
        while self._waiting and self._alone is None and not self._ended.is_set():
            progress, records = self._waiting.popleft()
            suspected = await self._suspects.suspected(progress.partition, records)
            if self._is_over(progress):  # since it was looked for suspects
                self._make_room(len(records))
                continue
            if suspected < len(records) and suspected:
                self._waiting.appendleft((progress, records[suspected:]))
            if suspected:
                suspects = self._try_alone(progress, records[:suspected])
                self._alone = asyncio.create_task(suspects)
            else:
                self._pool.offer(self._lanes.add(progress, records))

    async def _try_alone(self, progress: Progress, records: Sequence[Record]) -> None:
        try:
            await self._pool.idle()
            for tried, record in enumerate(records):
                async with self._host.solitude:
                    if self._is_over(progress):
                        self._make_room(len(records) - tried)
                        break
                    await self._try(Run((record,), progress))
                    await self._suspects.cleared(progress.partition)
            self._alone = None
            await self._begin()
        except Exception as error:  # noqa: BLE001 - a fault of ours must not stop the reading
            self._break(error)

    async def _try(self, run: Run) -> None:
        if reason := await self._suspects.try_alone(run.records[0]):
            await self._attempts.bury(run, reason)
            return self._after(run)
        self._pool.offer((run,))
        await self._pool.idle()

    def _is_over(self, progress: Progress) -> bool:
        return progress.lost or progress.leaving or self._ended.is_set()

    # --- handling ---------------------------------------------------------------------------

    async def _work(self, runs: Sequence[Run]) -> None:
        for run in runs:
            run.progress.running += 1
            if not self._is_over(run.progress):
                try:
                    await self._attempts.attempt(run)
                except Exception as error:  # noqa: BLE001 - a fault of ours must not stop a slot
                    self._break(error)
            self._done(run)

    def _done(self, run: Run) -> None:
        run.progress.running -= 1
        self._after(run)

    def _after(self, run: Run) -> None:
        """A run is over: its lane goes on, and there is room for more."""
        if (following := self._lanes.next(run)) is not None:
            self._pool.offer((following,))
        self._make_room(len(run.records))
        self._tenure.release_if_done(run.progress)

    def _make_room(self, count: int) -> None:
        """So many records are in hand no longer: more may be read."""
        self._in_hand -= count
        if not self._hungry.is_set() and not self._full:
            self._hungry.set()

    async def _watch(self) -> None:
        """Cut what takes too long; be alive while the last handlers finish."""
        clock, timeout = self._host.clock, self._options.timeout
        measured = clock.now()
        while True:
            await clock.sleep(min(1.0, timeout / 2, self._beat))
            now = clock.now()
            for slot in self._pool.slots:
                if any(
                    run.since is not None and now - run.since >= timeout for run in slot.holding
                ):
                    slot.cut(self._too_late)
            with suppress(IsthmusError):
                if self._ended.is_set():
                    await self._member.read(0, wait=0.0)
                if now - measured >= MEASURED and self._host.signals.wanted(LagMeasured):
                    measured = now
                    await self._measure()

    async def _too_late(self, runs: Sequence[Run]) -> None:
        for run in runs:
            await self._attempts.too_late(run)
            self._done(run)

    async def _measure(self) -> None:
        ends = await self._host.log.offsets(self._of.stream, at="end")
        positions = await self._host.log.positions(self._of.stream, self._of.group)
        for partition in [progress.partition for progress in self._tenure]:
            behind = max(0, ends[partition] - positions.get(partition, 0))
            self._host.signals.emit(
                LagMeasured(address=self._of.address, partition=partition, behind=behind)
            )

    def _drop(self, progress: Progress) -> None:
        """Begin nothing more of a partition; if it is lost, let nothing of it go on."""
        kept = deque(item for item in self._waiting if item[0] is not progress)
        gone = sum(len(records) for _, records in self._waiting)
        gone -= sum(len(records) for _, records in kept)
        self._waiting = kept
        ready = self._pool.discard(lambda run: run.progress is progress)
        gone += sum(len(run.records) for run in ready)
        self._make_room(gone + self._lanes.drop(progress))
        for slot in self._pool.slots if progress.lost else ():
            if any(run.progress is progress and run.since is not None for run in slot.holding):
                slot.cut(self._cut_short)

    async def _cut_short(self, runs: Sequence[Run]) -> None:
        for run in runs:
            self._done(run)

    # --- ending -----------------------------------------------------------------------------

    async def _finish(self) -> None:
        """Let what runs finish; leave the rest, and the group, to others."""
        self._lanes.clear()
        self._waiting.clear()
        self._pool.take_back()
        await self._pool.close()
        await self._positions.done()
        if self.broken is None:
            await self._tenure.end()

    def _abandon(self) -> None:
        self._tenure.forsake()
        self._pool.abandon()
        if self._alone is not None:
            self._alone.cancel()

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
    """Nobody is told when a slot takes a run."""
