"""What a command means to a saga, as it stands."""

from collections.abc import Callable

from isthmus.sagas import commands, facts
from isthmus.sagas.changes import Changes
from isthmus.sagas.commands import Command, Report, Start
from isthmus.sagas.course import Course
from isthmus.sagas.events import (
    Came,
    Cause,
    ChildEnded,
    Compensating,
    Resumed,
    Stuck,
    Undone,
)

__all__ = ["Heeding"]


class Heeding:
    """Records what commands to one saga come to."""

    def __init__(
        self, key: str, course: Course, changes: Changes, *, now: Callable[[], float]
    ) -> None:
        self._key, self._course, self._changes, self._now = key, course, changes, now

    def heed(self, command: Command) -> None:
        course = self._course
        match command:
            case commands.Deliver() if course.ended is None:
                self._deliver(command)
            case commands.Cancel(why) if course.ended is None:
                self._turn_back(why)
            case commands.Compensate():
                self._take_back(command)
            case commands.Resume() if self._can_resume():
                self._unstick()
            case Report():
                self._report(command)
            case Start():
                self._start_again(command)
            case _:
                pass

    def compensate(self, cause: Cause, why: str) -> None:
        """Have it turn back."""
        self._changes.record(Compensating(self._now(), cause, why))
        self._changes.signal(facts.SagaCompensating, why=why)

    def stick(self, reason: str, detail: str) -> None:
        """Have it wait for a person."""
        self._changes.record(Stuck(self._now(), reason, detail))
        self._changes.signal(facts.SagaStuck, reason=reason, detail=detail)

    def _deliver(self, event: commands.Deliver) -> None:
        if not any(isinstance(each, Came) and each.id == event.id for each in self._course.events):
            self._changes.record(Came(self._now(), event.name, event.key, event.body, event.id))

    def _can_resume(self) -> bool:
        course = self._course
        tries = bool(course.tries or course.undo_tries)
        return course.ended is None and (course.stuck is not None or tries)

    def _turn_back(self, why: str) -> None:
        if self._course.stuck is not None:
            self._unstick()
        if self._course.compensating is None:
            self.compensate("cancelled", why)

    def _take_back(self, command: commands.Compensate) -> None:
        if self._course.status != "compensated":
            self._turn_back(command.why)
        elif command.parent:
            report = Report(command.position, "compensated", b"", command.why)
            self._changes.tell(command.parent, report)

    def _unstick(self) -> None:
        self._changes.record(Resumed(self._now()))
        self._changes.signal(facts.SagaResumed)

    def _report(self, report: Report) -> None:
        """A child of ours has ended."""
        course, position, now = self._course, report.position, self._now()
        if position not in course.children or course.ended is not None:
            return
        name = course.children[position].name
        if course.compensating is None:
            if position not in course.outcomes:
                told = report.status, report.result, report.error
                self._changes.record(ChildEnded(now, position, name, *told))
        elif report.status == "compensated" and position not in course.undone:
            self._changes.record(Undone(now, position, name))
        elif report.status == "forgotten":
            self.stick("compensation", report.error)

    def _start_again(self, command: Start) -> None:
        """A saga asks for one that is there already: itself, asking again, or another."""
        started = self._course.started
        if (started.parent, started.position) != (command.parent, command.position):
            taken = Report(command.position, "refused", b"", f"the id of {self._key} is taken")
            self._changes.tell(command.parent, taken)
