"""What can be decided without doing anything: what is due, what came, what is to be waited for."""

from typing import TYPE_CHECKING

from isthmus.errors import ConfigError
from isthmus.sagas import mailbox
from isthmus.sagas.changes import Changes
from isthmus.sagas.commands import Start
from isthmus.sagas.course import Course
from isthmus.sagas.events import (
    Begun,
    Came,
    ChildStarted,
    Expired,
    Received,
    Until,
    Waiting,
    Woken,
)
from isthmus.sagas.family import Families, Family, key_of, split
from isthmus.sagas.operation import Child, Operation, Sleep, Step, WaitFor
from isthmus.sagas.playback import Playback

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Deciding"]


class Deciding:
    """Plays a saga on, and records what follows, until only steps and time are left."""

    def __init__(
        self, family: Family, key: str, course: Course, playback: Playback, changes: Changes
    ) -> None:
        self._family, self._key, self._course = family, key, course
        self._playback, self._changes = playback, changes
        self._name, self._id = split(key)
        self._now = family.host.clock.now

    async def decide(self) -> "Sequence[Step]":
        """Return the steps that can begin now."""
        while True:
            self._playback.advance()
            if self._playback.marks:
                self._mark()
            if self._playback.ended or self._playback.fault is not None:
                return ()
            steps, moved = list[Step](), False
            for operation in list(self._playback.frontier()):
                if isinstance(operation, Step):
                    if self._is_ready(operation):
                        steps.append(operation)
                elif await self._decided(operation):
                    moved = True
            if self._playback.fault is not None:
                return ()
            if not moved:
                if steps:
                    self._announce(steps)
                return steps

    def _mark(self) -> None:
        for mark in self._playback.marks:
            self._changes.record(mark)
        self._playback.marks.clear()

    def _is_ready(self, step: Step) -> bool:
        if step.position in self._playback.busy:
            return False
        tried = self._course.tries.get(step.position)
        return tried is None or tried.again_at <= self._now()

    def _announce(self, steps: "Sequence[Step]") -> None:
        for step in steps:
            if step.announced and step.position not in self._course.begun:
                self._changes.record(Begun(self._now(), step.position, step.name))

    async def _decided(self, operation: Operation) -> bool:
        """Return whether it has come out."""
        match operation:
            case Sleep():
                return self._slept(operation)
            case WaitFor():
                return await self._received(operation)
            case Child():
                self._bear(operation)
                return False
            case _:
                return False

    def _slept(self, sleep: Sleep) -> bool:
        now, position = self._now(), sleep.position
        if position not in self._course.until:
            if sleep.span > 0:
                self._changes.wake_at(now + sleep.span)
            self._changes.record(Until(now, position, "", now + sleep.span))
        if self._course.until[position].until > now:
            return False
        self._changes.record(Woken(now, position, ""))
        return True

    async def _received(self, wait: WaitFor) -> bool:
        if wait.position not in self._course.waiting:
            await self._begin_waiting(wait)
        now, waiting = self._now(), self._course.waiting[wait.position]
        came = next((each for each in self._course.came if _is_for(each, wait)), None)
        if came is not None:
            event = Received(now, wait.position, wait.name, came.body, came.id)
        elif waiting.until and waiting.until <= now:
            event = Expired(now, wait.position, wait.name)
        else:
            return False
        self._changes.record(event)
        await self._end_waiting(wait)
        return True

    async def _begin_waiting(self, wait: WaitFor) -> None:
        now = self._now()
        until = 0.0 if wait.timeout is None else now + wait.timeout
        self._changes.record(Waiting(now, wait.position, wait.name, wait.key, until))
        if wait.timeout:
            self._changes.wake_at(until)
        if wait.key and not any(_is_for(each, wait) for each in self._course.came):
            letters = await self._changes.mail(mailbox.place(self._name, wait.name, wait.key))
            for body, letter in letters.waited_for_by(self._id):
                self._changes.record(Came(now, wait.name, wait.key, body, letter))

    async def _end_waiting(self, wait: WaitFor) -> None:
        if wait.key:
            letters = await self._changes.mail(mailbox.place(self._name, wait.name, wait.key))
            letters.no_more_waited_for_by(self._id)

    def _bear(self, child: Child) -> None:
        if child.position in self._course.children:
            return
        if not self._family.host.kept(Families).of(child.name).versions:
            self._playback.fault = ConfigError(
                f"saga {child.name!r} is not declared in this App; include the module that does"
            )
            return
        born = ChildStarted(self._now(), child.position, child.name, child.id)
        self._changes.record(born)
        start = Start(
            child.version,
            child.input,
            child.timeout,
            self._key,
            child.position,
            self._course.started.trace,
        )
        self._changes.tell(key_of(child.name, child.id), start)


def _is_for(came: Came, wait: WaitFor) -> bool:
    if came.name != wait.name:
        return False
    return not came.key or not wait.key or came.key == wait.key
