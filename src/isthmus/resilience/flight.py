"""One call for all who ask for the same at once."""

import asyncio
import contextvars
import itertools
import threading
from collections.abc import Callable, Coroutine, Hashable
from typing import Any, NamedTuple

from isthmus.deadline import in_force
from isthmus.errors import ConfigError, TimedOutError
from isthmus.resilience.degraded import leave_scopes
from isthmus.resilience.errors import DeadlinePassedError
from isthmus.resilience.outcome import trail
from isthmus.resilience.tasks import end

__all__ = ["Answer", "Flight", "Flights", "Slot", "SyncFlight", "SyncFlights"]

INFINITE = float("inf")

Slot = tuple[Hashable, ...]
"""What is asked for; the call's key last."""


class Answer(NamedTuple):
    value: Any
    degraded: dict[str, str]
    """Its parts that are not what they should be, with the reason."""
    stands_in: bool = False
    """Whether it was there before, and is given in place of an error."""


_numbers = itertools.count()
_within = contextvars.ContextVar[tuple[int, ...]]("isthmus-flights", default=())
"""The numbers of the flights that what runs here is part of. Who waits for one of these waits
for itself."""


class Flight:
    """A call that is being made, and for how many."""

    __slots__ = ("behind", "number", "task", "until", "void", "waiting")

    def __init__(self, *, behind: bool = False) -> None:
        self.number = next(_numbers)
        self.behind = behind
        """Whether it goes on though nobody waits for it."""
        self.until = INFINITE if behind else _deadline()
        self.waiting = 0
        self.void = False
        """Whether its answer is not to be kept: it was asked for before the key was forgotten."""
        self.task: asyncio.Task[Answer]


Fly = Callable[[Flight], Coroutine[Any, Any, Answer]]


class Flights:
    """The async calls that are being made, each in a task of its own. Slots begin with the loop."""

    def __init__(self) -> None:
        self._all: dict[Slot, Flight] = {}

    def __len__(self) -> int:
        return len(self._all)

    async def join(self, slot: Slot, fly: Fly) -> Answer:
        """Return what the call comes back with that is being made, or else is begun by `fly`.

        It is cancelled, and has ended, when the last who waits is cancelled. Who joined a call
        that was cut short by the deadline of who began it, makes its own if it has more time.

        Raises:
            ConfigError: It is made for this very call, which would wait for itself.
        """
        while True:
            flight = self._all.get(slot)
            begins = flight is None or flight.task.done()
            if flight is None or begins:
                flight = self._begin(slot, fly, Flight(), contextvars.copy_context())
            else:
                _refuse_within(slot, flight)
            await self._wait(slot, flight)
            if begins:
                return flight.task.result()
            if not _cut_short(flight):
                _spare_call()
                return flight.task.result()

    def begin_behind(self, slot: Slot, fly: Fly) -> None:
        """Begin the call, if it is not being made, for nobody in particular: without the
        caller's deadline, and out of the sight of who asked what happens in its call."""
        flight = self._all.get(slot)
        if flight is not None and not flight.task.done():
            return
        context = contextvars.copy_context()
        context.run(_leave_caller)
        self._begin(slot, fly, Flight(behind=True), context)

    async def end_behind(self, loop: asyncio.AbstractEventLoop) -> None:
        """Cancel what goes on in `loop` though nobody waits, and wait for its end."""
        every = list(self._all.items())
        await end([flight.task for slot, flight in every if flight.behind and slot[0] is loop])

    def void(self, meant: Callable[[Slot], bool]) -> None:
        """Let nobody join, nor the answer be kept, of those that are `meant`."""
        for slot, flight in list(self._all.items()):
            if meant(slot):
                flight.void = True
                self._drop(slot, flight)

    def _begin(self, slot: Slot, fly: Fly, flight: Flight, context: contextvars.Context) -> Flight:
        context.run(_enter, flight)
        flight.task = asyncio.get_running_loop().create_task(fly(flight), context=context)
        self._all[slot] = flight
        flight.task.add_done_callback(lambda _: self._ended(slot, flight))
        return flight

    async def _wait(self, slot: Slot, flight: Flight) -> None:
        flight.waiting += 1
        try:
            await asyncio.wait([flight.task])
        except asyncio.CancelledError:
            if flight.waiting == 1 and not flight.behind:
                self._drop(slot, flight)
                await end([flight.task])
            raise
        finally:
            flight.waiting -= 1

    def _ended(self, slot: Slot, flight: Flight) -> None:
        self._drop(slot, flight)
        if not flight.task.cancelled():
            flight.task.exception()  # seen, though all who waited may be gone

    def _drop(self, slot: Slot, flight: Flight) -> None:
        if self._all.get(slot) is flight:
            self._all.pop(slot, None)  # by now, another thread may have


def _cut_short(flight: Flight) -> bool:
    """Return whether it ended for a reason that was its beginner's alone."""
    if flight.task.cancelled():
        return True
    late = isinstance(flight.task.exception(), TimedOutError | DeadlinePassedError)
    return late and _deadline() > flight.until


def _deadline() -> float:
    """Return the moment of the deadline in force; inf if there is none."""
    current = in_force.get()
    return INFINITE if current is None else current[0]


def _spare_call() -> None:
    """Tell who asks for the outcome that another made the call."""
    if told := trail.get():
        told.spared()


def _enter(flight: "Flight | SyncFlight") -> contextvars.Token[tuple[int, ...]]:
    return _within.set((*_within.get(), flight.number))


def _refuse_within(slot: Slot, flight: "Flight | SyncFlight") -> None:
    """Raises ConfigError if what runs here is part of `flight`."""
    if flight.number in _within.get():
        raise ConfigError(
            f"Cache: what gets the answer to {slot[-1]!r} asks the cache for it again, and would "
            "wait for itself for ever; there, ask for another key, or call the function that is "
            "guarded itself (its `__wrapped__`)"
        )


def _leave_caller() -> None:
    _within.set(())
    in_force.set(None)
    trail.set(None)
    leave_scopes()


class SyncFlight:
    """A call that a thread is making, for itself and for others that wait."""

    __slots__ = ("answer", "behind", "done", "error", "number", "void")

    def __init__(self) -> None:
        self.number = next(_numbers)
        self.done = threading.Event()
        self.answer: Answer | None = None
        self.error: Exception | None = None
        self.behind = self.void = False


class SyncFlights:
    """The calls that threads are making."""

    def __init__(self) -> None:
        self._all: dict[Slot, SyncFlight] = {}
        self._lock = threading.Lock()

    def __contains__(self, slot: Slot) -> bool:
        return slot in self._all

    def join(self, slot: Slot, fly: Callable[[SyncFlight], Answer]) -> Answer:
        """Return what the call comes back with that another thread is making, or else `fly`.

        Raises:
            ConfigError: This thread is making it, and would wait for itself.
        """
        while True:
            with self._lock:
                flight = self._all.get(slot)
                mine = SyncFlight() if flight is None else None
                if mine is not None:
                    self._all[slot] = mine
            if mine is not None:
                return self._make(slot, mine, fly)
            if flight is not None:
                _refuse_within(slot, flight)
                flight.done.wait()
                if flight.error is not None:
                    _spare_call()
                    raise flight.error
                if flight.answer is not None:
                    _spare_call()
                    return flight.answer

    def void(self, meant: Callable[[Slot], bool]) -> None:
        """Let nobody join, nor the answer be kept, of those that are `meant`."""
        with self._lock:
            for slot in [slot for slot in self._all if meant(slot)]:
                self._all.pop(slot).void = True

    def _make(self, slot: Slot, flight: SyncFlight, fly: Callable[[SyncFlight], Answer]) -> Answer:
        entered = _enter(flight)
        try:
            flight.answer = fly(flight)
            return flight.answer
        except Exception as error:
            flight.error = error
            raise
        finally:
            _within.reset(entered)
            with self._lock:
                if self._all.get(slot) is flight:
                    del self._all[slot]
            flight.done.set()
