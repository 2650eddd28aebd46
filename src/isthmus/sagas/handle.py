"""A hold on one saga: what became of it, and what it is told."""

from collections.abc import Callable, Collection, Sequence
from typing import Any, Generic, TypeVar

from isthmus.clock import Span, seconds
from isthmus.errors import ConfigError, NotFoundError, TimedOutError
from isthmus.handling.unit import current
from isthmus.message import new_id
from isthmus.sagas.commands import Cancel, Command, Compensate, Deliver, Resume
from isthmus.sagas.course import Course
from isthmus.sagas.errors import SagaCompensatedError, SagaStuckError
from isthmus.sagas.events import Event
from isthmus.sagas.family import Family, key_of
from isthmus.sagas.history import History, load
from isthmus.sagas.kept import Kept
from isthmus.sagas.recorded import RecordedSaga
from isthmus.sagas.saga import Saga, event_name
from isthmus.sagas.status import SagaStatus
from isthmus.sagas.telling import status_of
from isthmus.sagas.waiters import Waiter
from isthmus.schema import schema_of

__all__ = ["Handle"]

R = TypeVar("R")

FIRST, MOST = 0.05, 1.0
"""Seconds between two looks for the end of a saga that runs in another process: at first, later."""


class Handle(Generic[R]):
    """One saga, by its id. Made by `fulfil.start(...)` and `fulfil.handle(id)`."""

    def __init__(self, family: Family, id: str, result: Kept) -> None:
        self.id, self.name = id, family.name
        self._family, self._result = family, result
        self._key = key_of(family.name, id)
        self._heeded = 0
        """Events that were there when it was last told to go on: how it stood then is past."""

    # --- looking ----------------------------------------------------------------------------

    async def result(self, timeout: Span | None = None) -> R:  # noqa: ASYNC109 - on our clock
        """Wait until it has ended, and return what its function returned.

        Raises:
            SagaCompensatedError: It did not come about.
            SagaStuckError: It waits for a person; ask again after it was resumed.
            TimedOutError: It had not ended after `timeout` seconds.
            NotFoundError: There is none of this id, or its retention is over.
        """
        course = await self._ended(None if timeout is None else seconds(timeout))
        if course.stuck is not None and course.ended is None:
            stuck = course.stuck
            raise SagaStuckError(f"saga {self._key}: {stuck.detail}", reason=stuck.reason)
        assert course.ended is not None
        if course.ended.status != "completed":
            raise SagaCompensatedError(f"saga {self._key}: {course.ended.error}")
        return self._result.decode(course.ended.result)

    async def status(self) -> SagaStatus:
        """Raises NotFoundError if there is none of this id."""
        return status_of(self.name, self.id, await self._course())

    async def history(self) -> Sequence[Event]:
        """Return all that happened to it, oldest first."""
        return (await self._course()).events

    async def recorded(self) -> RecordedSaga:
        """Return its history, to be written to a file, and played against changed code by
        `isthmus.testing.replay`."""
        course = await self._course()
        return RecordedSaga(
            name=self.name,
            id=self.id,
            version=course.started.version,
            events=tuple(course.events),
        )

    async def query(self, function: Callable[[Saga], Any] | str) -> Any:
        """Return what a function registered by `fulfil.query` tells of it, as it is recorded now.

        Raises:
            NotDeterministicError: Its history is of other code than this process has.
        """
        course = await self._course()
        recipe = self._family.versions.get(course.started.version)
        name = function if isinstance(function, str) else function.__name__
        if recipe is None or name not in recipe.queries:
            known = ", ".join(recipe.queries) if recipe else ""
            raise ConfigError(
                f"saga {self.name}/{course.started.version} answers no query {name!r} "
                f"({known or 'it has none'}); declare it with @{self.name}.query"
            )
        saga, playback = recipe.played(self._key, course)
        try:
            playback.advance()
            if playback.fault is not None:
                raise playback.fault
            return recipe.queries[name](saga)
        finally:
            playback.close()

    # --- telling ----------------------------------------------------------------------------

    async def signal(self, event: object, *, key: str = "", id: str | None = None) -> None:
        """Send it an event, for its `wait_for`; the same `id` twice is one event. In a
        transaction it leaves with the commit."""
        kind = type(event)
        body = schema_of(kind).encode(event)
        await self._tell(Deliver(event_name(kind), key, body, new_id() if id is None else id))

    async def cancel(self, why: str = "cancelled") -> None:
        """Have it compensate what it did, and end; nothing if it has ended. A step that runs is
        not cut off."""
        await self._tell(Cancel(why), past=("stuck",))

    async def compensate(self, why: str = "taken back") -> None:
        """Like `cancel`, and even if it is completed: every step is undone."""
        await self._tell(Compensate(why), past=("stuck", "completed"))

    async def resume(self) -> None:
        """Have it try again what it is stuck at; nothing if it isn't."""
        await self._tell(Resume(), past=("stuck",))

    async def _tell(self, command: Command, *, past: Collection[str] = ()) -> None:
        unit = current.get()
        if unit is None:
            course = await self._course()
            if course.status in past:
                self._heeded = len(course.events)
        await self._family.tell(self.id, command, tx=None if unit is None else unit.begin())

    # --- waiting ----------------------------------------------------------------------------

    async def _ended(self, timeout: float | None) -> Course:  # noqa: ASYNC109 - on our clock
        clock = self._family.host.clock
        end = None if timeout is None else clock.now() + timeout
        waiter, pause = self._family.waiters.watch(self._key), FIRST
        try:
            course = None
            if not self._family.is_at_hand(self._key):
                course = await self._course()
            while True:
                if course is not None and course.rests and len(course.events) > self._heeded:
                    return course
                left = pause if end is None else min(pause, end - clock.now())
                if left <= 0:
                    raise TimedOutError(f"saga {self._key} had not ended after {timeout:g} s")
                await clock.wait(waiter.told, left)
                pause = min(MOST, 2 * pause)
                course = await self._looked(waiter)
        finally:
            self._family.waiters.leave(self._key, waiter)

    async def _looked(self, waiter: Waiter) -> Course:
        """Return how it stands, as it was told, or else as the store has it."""
        known, waiter.course = waiter.course, None
        waiter.told.clear()
        return known or await self._course()

    async def _course(self) -> Course:
        return Course((await self._loaded()).events())

    async def _loaded(self) -> History:
        history = await load(self._family.store, self._key)
        if not history.exists:
            raise NotFoundError(
                f"there is no saga {self._key!r}: it was never started, or its retention is over"
            )
        return history
