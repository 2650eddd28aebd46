"""The slots in which handlers run, and what is ready for them."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from itertools import chain
from typing import Generic, TypeVar

from isthmus.clock import Clock

__all__ = ["Pool", "Slot"]

T = TypeVar("T")

QUANTUM = 64
"""Pieces of work that are done in one turn of the loop, if they need not wait."""


class Slot(Generic[T]):
    """A task that handles one batch after the other."""

    def __init__(self) -> None:
        self.holding: Sequence[T] = ()
        self.task: asyncio.Task[None] | None = None
        self._cut: Callable[[Sequence[T]], Awaitable[None]] | None = None

    def cut(self, then: Callable[[Sequence[T]], Awaitable[None]]) -> None:
        """Cancel what is handled here, and do `then` with it instead."""
        if self.holding and self._cut is None and self.task is not None:
            self._cut = then
            self.task.cancel()

    async def serve(
        self, batch: Sequence[T], work: Callable[[Sequence[T]], Awaitable[None]]
    ) -> None:
        """Work on `batch`; return normally even if it was cut."""
        self.holding = batch
        try:
            await work(batch)
            if self._cut is not None:
                self._forgive()
        except asyncio.CancelledError:
            await self._after_cut(batch)
        finally:
            self.holding = ()

    def _forgive(self) -> None:
        """It was cut and did not heed it: that is not to fall upon the next."""
        if self.task is not None:
            self._cut = None
            self.task.uncancel()

    async def _after_cut(self, batch: Sequence[T]) -> None:
        then, self._cut = self._cut, None
        assert self.task is not None
        if then is None or self.task.uncancel() > 0:
            raise asyncio.CancelledError
        await then(batch)


class Pool(Generic[T]):
    """What is ready, deliveries mostly, and the slots that take it, opened as they are needed.

    One slot is enough for work that never waits. The others are woken once it is found to
    wait; until then it gives way, after QUANTUM pieces, to whatever else the loop has to do.

    `taken` is called whenever a slot has taken something and no more than `low` are left;
    `failed` if the work itself raises, which it must not: what it held is left to its lease.
    """

    def __init__(
        self,
        work: Callable[[Sequence[T]], Awaitable[None]],
        *,
        concurrency: int,
        batch: int,
        linger: float,
        clock: Clock,
        taken: Callable[[], None],
        failed: Callable[[Exception], None],
    ) -> None:
        self._work, self._taken, self._clock = work, taken, clock
        self._failed = failed
        self._concurrency, self._batch, self._linger = concurrency, batch, linger
        self._ready: deque[T] = deque()
        self._idle: deque[asyncio.Future[None]] = deque()
        self.slots: list[Slot[T]] = []
        self.low = 0
        self._served = 0
        self._looking = False
        self.offered = asyncio.Event()
        """Set by every offer; whoever waits for one clears it."""
        self._closed = False

    @property
    def waiting(self) -> int:
        """How many are ready and in no slot."""
        return len(self._ready)

    def __iter__(self) -> Iterator[T]:
        return chain(self._ready, *(slot.holding for slot in self.slots))

    def offer(self, batch: Sequence[T]) -> None:
        """Have `batch` handled, by idle slots, or new ones up to the concurrency."""
        self._ready += batch
        self.offered.set()
        self._begin(min(1, len(batch)))
        if len(batch) > 1 and not self._looking:
            self._look_next_turn()

    async def through(self, item: T) -> bool:
        """Have `item`, with nothing else ready, handled beside what runs, and return True once
        it is; False if it was discarded, or taken back, before."""
        work, self._through = self._work, asyncio.get_running_loop().create_future()

        async def told(batch: Sequence[T]) -> None:
            self._work = work
            try:
                await work(batch)
            finally:
                self._tell_through(handled=True)

        self._work = told
        self.offer([item])
        try:
            return await self._through
        finally:
            self._work, self._through = work, None

    def discard(self, is_gone: Callable[[T], bool]) -> Sequence[T]:
        """Forget what is ready and `is_gone`, as it is another's now; return it."""
        gone = [item for item in self._ready if is_gone(item)]
        self._ready = deque(item for item in self._ready if not is_gone(item))
        if gone:
            self._tell_through(handled=False)
        return gone

    def take_back(self) -> Sequence[T]:
        """Return what no slot has begun, to be given back."""
        back, self._ready = list(self._ready), deque()
        if back:
            self._tell_through(handled=False)
        return back

    async def idle(self) -> None:
        """Wait until nothing is ready and no slot holds anything."""
        while self._ready or any(slot.holding for slot in self.slots):
            done = asyncio.get_running_loop().create_future()
            self._on_idle = done
            await done

    async def close(self) -> None:
        """Let the slots finish what they hold, then end them."""
        self._closed = True
        while self._idle:
            self._wake()
        if tasks := [slot.task for slot in self.slots if slot.task is not None]:
            await asyncio.wait(tasks)

    def abandon(self) -> Sequence[T]:
        """End the slots at once; return what was not done."""
        left = list(self)
        for slot in self.slots:
            if slot.task is not None:
                slot.task.cancel()
        self._ready.clear()
        return left

    _on_idle: "asyncio.Future[None] | None" = None
    _through: "asyncio.Future[bool] | None" = None

    def _tell_through(self, *, handled: bool) -> None:
        if self._through is not None and not self._through.done():
            self._through.set_result(handled)

    def _begin(self, wanted: int) -> None:
        """Have so many slots look for work, those that are idle or new ones."""
        while wanted > 0 and self._idle:
            wanted -= self._wake()
        for _ in range(min(wanted, self._concurrency - len(self.slots))):
            self._open_slot()

    def _look_next_turn(self) -> None:
        self._looking = True
        asyncio.get_running_loop().call_soon(self._look, self._served)

    def _look(self, served: int) -> None:
        """Wake the slots that are needed, unless one is quick enough."""
        self._looking = False
        if self._ready and self._served - served >= QUANTUM:
            self._look_next_turn()
        else:
            self._begin(len(self._ready))

    def _open_slot(self) -> None:
        slot: Slot[T] = Slot()
        slot.task = asyncio.create_task(self._run(slot))
        slot.task.add_done_callback(self._on_end)
        self.slots.append(slot)

    def _on_end(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and isinstance(error := task.exception(), Exception):
            self._failed(error)
        self._tell_idle()

    def _wake(self) -> bool:
        idle = self._idle.popleft()
        if idle.done():
            return False
        idle.set_result(None)
        return True

    async def _run(self, slot: Slot[T]) -> None:
        while self._ready or await self._more():
            batch = (self._ready.popleft(),) if self._batch == 1 else await self._gather()
            if len(self._ready) <= self.low:
                self._taken()
            if batch:
                await slot.serve(batch, self._work)
                self._served += 1
                if self._served % QUANTUM == 0:
                    await asyncio.sleep(0)

    async def _more(self) -> bool:
        """Wait until something is ready; return False at the end."""
        while not (self._ready or self._closed):
            await self._wait()
        return bool(self._ready)

    async def _wait(self) -> None:
        self._tell_idle()
        idle = asyncio.get_running_loop().create_future()
        self._idle.append(idle)
        await idle

    def _tell_idle(self) -> None:
        if self._on_idle is None or any(slot.holding for slot in self.slots):
            return
        if not self._on_idle.done():  # who waited may have been cancelled
            self._on_idle.set_result(None)
        self._on_idle = None

    async def _gather(self) -> Sequence[T]:
        """Up to a batch of what is ready; wait `linger` for it to fill."""
        end = self._clock.now() + self._linger
        while len(self._ready) < self._batch and not self._closed and self._clock.now() < end:
            self._taken()
            await self._clock.sleep(self._linger / 10)
        return [self._ready.popleft() for _ in range(min(len(self._ready), self._batch))]
