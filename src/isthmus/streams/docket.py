"""What a member has read and not done: in which order it is begun, and how much it may be.

take ──► suspects? ──► lanes ──► pool of slots ──► attempt
alone         ▲                            │
└────── next of its key ─────┘
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence

from isthmus.contracts import Record
from isthmus.handling.consuming.pool import Pool
from isthmus.handling.host import Host
from isthmus.streams.attempts import Attempts
from isthmus.streams.lanes import Lanes, Run
from isthmus.streams.options import GroupOptions
from isthmus.streams.progress import Progress
from isthmus.streams.suspects import Suspects

__all__ = ["Docket", "window"]

WINDOW = 1024
"""Records in hand at most, read and not done; more with large batches or concurrency."""


def window(options: GroupOptions) -> int:
    """Return how many records may be in hand."""
    return max(WINDOW, 2 * options.concurrency, 8 * options.batch)


class Docket:
    """The records in hand.

    Once `ended` is set, nothing is begun. `over` is called with the partition of each
    run that is over, `broken` if it is not known how it went.
    """

    def __init__(
        self,
        host: Host,
        options: GroupOptions,
        *,
        attempts: Attempts,
        suspects: Suspects,
        ended: asyncio.Event,
        over: Callable[[Progress], None],
        broken: Callable[[Exception], None],
    ) -> None:
        self._solitude, self._window = host.solitude, window(options)
        self._attempts, self._suspects = attempts, suspects
        self._ended, self._over, self._broken = ended, over, broken
        self._waiting: deque[tuple[Progress, Sequence[Record]]] = deque()
        self._alone: asyncio.Task[None] | None = None
        self._lanes = Lanes(batch=options.batch)
        self._pool: Pool[Run] = Pool(
            self._work,
            concurrency=options.concurrency,
            batch=1,
            linger=0.0,
            clock=host.clock,
            taken=_nothing,
            failed=broken,
        )
        self.count = 0
        """How many records are in hand."""
        self.hungry = asyncio.Event()
        """Set when less than half is left of what may be in hand."""

    @property
    def room(self) -> int:
        """How many records may be taken; 0 until less than half of the window is left."""
        return self._window - self.count if self.count <= self._window // 2 else 0

    def take(self, progress: Progress, records: Sequence[Record]) -> None:
        """Have `records`, the next of their partition, handled after the next `begin`."""
        if records:
            self.count += len(records)
            self._waiting.append((progress, records))

    async def begin(self) -> None:
        """Have what was taken handled, up to the first suspect."""
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

    def drop(self, progress: Progress) -> None:
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

    def cut_late(self, now: float, *, timeout: float) -> None:
        """Cut the handlers that were called `timeout` seconds ago."""
        for slot in self._pool.slots:
            if any(run.since is not None and now - run.since >= timeout for run in slot.holding):
                slot.cut(self._too_late)

    async def finish(self) -> None:
        """Let what runs finish; forget the rest."""
        self._lanes.clear()
        self._waiting.clear()
        self._pool.take_back()
        await self._pool.close()

    def abandon(self) -> None:
        """End what runs."""
        self._pool.abandon()
        if self._alone is not None:
            self._alone.cancel()

    # --- suspects ---------------------------------------------------------------------------

    async def _try_alone(self, progress: Progress, records: Sequence[Record]) -> None:
        try:
            await self._pool.idle()
            for tried, record in enumerate(records):
                async with self._solitude:
                    if self._is_over(progress):
                        self._make_room(len(records) - tried)
                        break
                    await self._try(Run((record,), progress))
                    await self._suspects.cleared(progress.partition)
            self._alone = None
            await self.begin()
        except Exception as error:  # noqa: BLE001 - a fault of ours must not stop the reading
            self._broken(error)

    async def _try(self, run: Run) -> None:
        if reason := await self._suspects.try_alone(run.records[0]):
            await self._attempts.bury(run, reason)
            return self._after(run)
        self._pool.offer((run,))
        await self._pool.idle()

    def _is_over(self, progress: Progress) -> bool:
        return progress.lost or progress.leaving or self._ended.is_set()

    # --- runs -------------------------------------------------------------------------------

    async def _work(self, runs: Sequence[Run]) -> None:
        for run in runs:
            run.progress.running += 1
            if not self._is_over(run.progress):
                try:
                    await self._attempts.attempt(run)
                except Exception as error:  # noqa: BLE001 - a fault of ours must not stop a slot
                    self._broken(error)
            self._done(run)

    async def _too_late(self, runs: Sequence[Run]) -> None:
        for run in runs:
            await self._attempts.too_late(run)
            self._done(run)

    async def _cut_short(self, runs: Sequence[Run]) -> None:
        for run in runs:
            self._done(run)

    def _done(self, run: Run) -> None:
        run.progress.running -= 1
        self._after(run)

    def _after(self, run: Run) -> None:
        """A run is over: its lane goes on, and there is room for more."""
        if (following := self._lanes.next(run)) is not None:
            self._pool.offer((following,))
        self._make_room(len(run.records))
        self._over(run.progress)

    def _make_room(self, count: int) -> None:
        """So many records are in hand no longer: more may be read."""
        self.count -= count
        if self.room and not self.hungry.is_set():
            self.hungry.set()


def _nothing() -> None:
    """Nobody is told when a slot takes a run."""
