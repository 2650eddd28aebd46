"""Undoing what a saga did, the last first, until nothing is left or one undo fails for good."""

from typing import Any

import msgspec

from isthmus.handling.unit import Unit
from isthmus.sagas import commands, facts
from isthmus.sagas.action import action_of
from isthmus.sagas.attempt import Attempt, FailedAttempt, Failure
from isthmus.sagas.changes import Changes
from isthmus.sagas.course import Course
from isthmus.sagas.events import ChildEnded, Done, Stuck, UndoAsked, Undone, UndoTried
from isthmus.sagas.family import Family, key_of
from isthmus.sagas.operation import Child, Step
from isthmus.sagas.playback import Playback
from isthmus.sagas.recipe import Recipe
from isthmus.sagas.watch import Watch

__all__ = ["Compensation", "Unknown"]


class Unknown(msgspec.Struct, frozen=True):
    """What an undo is given instead of a result: the step may have happened, but never answered.
    Ask by `key` whoever was called, and take back what is there."""

    key: str
    """The idempotency key of the step."""


class Compensation:
    """What is left to undo of one saga."""

    def __init__(
        self,
        family: Family,
        key: str,
        course: Course,
        playback: Playback,
        changes: Changes,
        watch: Watch,
        recipe: Recipe,
    ) -> None:
        self._family, self._key, self._course = family, key, course
        self._playback, self._changes, self._watch = playback, changes, watch
        self._options = recipe.options
        self._now = family.host.clock.now
        self.waits = False
        """Whether the next undo has to wait: for its moment, or for another saga."""

    def next(self) -> Step | None:
        """Return the step to undo now; None if nothing is left, or if it `waits`."""
        self.waits = False
        for position in reversed(self._course.effects):
            if position in self._course.undone:
                continue
            operation = self._playback.steps.get(position)
            if operation is None:
                self._lost(position)
            elif isinstance(operation, Child):
                self._undo_child(operation)
            elif isinstance(operation, Step) and operation.undo is not None:
                tried = self._course.undo_tries.get(position)
                if tried is None or tried.again_at <= self._now():
                    return operation
                self.waits = True
            if self.waits:
                return None
        return None

    async def undo(self, step: Step, *, attempt: int) -> Unit | None:
        """Undo a step, and record what came of it; return the unit of what it wrote."""
        assert step.undo is not None
        action = action_of(step.undo, 1)
        trying = Attempt(
            self._family.host,
            action,
            (self._given(step),),
            key=f"{step.key}/undo",
            name=f"undo of {step.name}",
            policy=step.undo_policy,
            timeout=self._options.step_timeout,
            attempt=attempt,
        )
        self._watch.begin(trying)
        try:
            await trying.run()
        except FailedAttempt as failed:
            self._failed(step, failed.failure)
            return None
        finally:
            self._watch.end(trying)
        self._changes.record(Undone(self._now(), step.position, step.name))
        self._changes.signal(facts.StepUndone, step=step.name)
        return trying.written

    def _given(self, step: Step) -> Any:
        outcome = self._course.outcomes.get(step.position)
        if isinstance(outcome, Done):
            return step.action.result.decode(outcome.result)
        return Unknown(step.key)

    def _failed(self, step: Step, failure: Failure) -> None:
        tried = self._course.undo_tries.get(step.position)
        attempt = (tried.attempt if tried else 0) + failure.counts
        if failure.counts and step.undo_retry.spent(attempt):
            detail = f"undo of step {step.name!r} failed: {failure.text}"
            return self._stuck("compensation", detail)
        again_at = self._now() + failure.wait(step.undo_retry, attempt, self._family.host.draw())
        self._changes.record(
            UndoTried(self._now(), step.position, step.name, attempt, failure.text, again_at)
        )
        self._changes.wake_at(again_at)

    def _undo_child(self, child: Child) -> None:
        ended = self._course.outcomes.get(child.position)
        if isinstance(ended, ChildEnded) and ended.status != "completed":
            return
        self.waits = True
        if child.position not in self._course.undo_asked:
            assert self._course.compensating is not None
            self._changes.record(UndoAsked(self._now(), child.position, child.name))
            told = commands.Compensate(self._course.compensating.why, self._key, child.position)
            self._changes.tell(key_of(child.name, child.id), told)

    def _lost(self, position: str) -> None:
        asked = self._course.asked[position]
        self.waits = True
        detail = f"at {position} the history has {asked}, which the function asks for no longer"
        self._stuck("nondeterministic", detail)

    def _stuck(self, reason: str, detail: str) -> None:
        self._changes.record(Stuck(self._now(), reason, detail))
        self._changes.signal(facts.SagaStuck, reason=reason, detail=detail)
