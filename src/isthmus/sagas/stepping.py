"""One attempt at a step of a saga, and what it comes to in the history."""

import msgspec

from isthmus.errors import SchemaError
from isthmus.handling.unit import Unit
from isthmus.sagas import facts
from isthmus.sagas.attempt import Attempt, FailedAttempt, Failure
from isthmus.sagas.changes import Changes
from isthmus.sagas.course import Course
from isthmus.sagas.events import Done, Failed, Stuck, Tried
from isthmus.sagas.family import Family
from isthmus.sagas.operation import Step
from isthmus.sagas.options import SagaOptions
from isthmus.sagas.watch import Watch

__all__ = ["Finished", "Stepping"]


class Finished(msgspec.Struct, eq=False):
    """What came of an attempt."""

    step: Step
    result: bytes = b""
    unit: Unit | None = None
    """What it wrote, to be committed with its record."""
    failure: Failure | None = None
    unfit: str = ""
    """Why its result cannot be kept."""


class Stepping:
    """Makes attempts at the steps of one saga."""

    def __init__(
        self,
        family: Family,
        course: Course,
        changes: Changes,
        watch: Watch,
        options: SagaOptions,
    ) -> None:
        self._host, self._course, self._changes = family.host, course, changes
        self._watch, self._options = watch, options
        self._now = family.host.clock.now

    async def attempt(self, step: Step, *, run: int) -> Finished:
        """Do a step. `run`: which one of this it is, after conflicts."""
        attempt = Attempt(
            self._host,
            step.action,
            step.args,
            key=step.key,
            name=step.name,
            policy=step.policy,
            timeout=self._within(step.timeout),
            heartbeat=step.heartbeat,
            declared=self._options.compensate_on,
            attempt=run,
        )
        self._watch.begin(attempt)
        try:
            value = await attempt.run()
            result = step.action.result.encode(value)
        except FailedAttempt as failed:
            return Finished(step, failure=failed.failure)
        except SchemaError as error:
            await attempt.undo()
            return Finished(step, unfit=str(error))
        finally:
            self._watch.end(attempt)
        return Finished(step, result=result, unit=attempt.written)

    def _within(self, timeout: float) -> float:
        timeout_at = self._course.started.timeout_at
        return min(timeout, max(0.001, timeout_at - self._now())) if timeout_at else timeout

    def record(self, finished: Finished) -> None:
        """Record what came of it: its result, its end, or another attempt."""
        step, failure, now = finished.step, finished.failure, self._now()
        if finished.unfit:
            self._stuck(f"step {step.name!r}: {finished.unfit}")
        elif failure is not None:
            self._failed(step, failure)
        else:
            self._changes.record(Done(now, step.position, step.name, finished.result))
            self._changes.signal(facts.StepDone, step=step.name)

    def _failed(self, step: Step, failure: Failure) -> None:
        tried = self._course.tries.get(step.position)
        attempt = (tried.attempt if tried else 0) + failure.counts
        ran = not step.action.joins and (failure.ran or (tried is not None and tried.ran))
        if failure.answers or (failure.counts and step.retry.spent(attempt)):
            self._changes.record(
                Failed(self._now(), step.position, step.name, failure.kind, failure.text, ran)
            )
            self._changes.signal(facts.StepFailed, step=step.name, error=failure.text)
        else:
            self._again(step, failure, attempt, ran=ran)

    def _again(self, step: Step, failure: Failure, attempt: int, *, ran: bool) -> None:
        delay = failure.wait(step.retry, attempt, self._host.draw())
        again_at = self._now() + delay
        self._changes.record(
            Tried(self._now(), step.position, step.name, attempt, failure.text, again_at, ran)
        )
        self._changes.wake_at(again_at)
        self._changes.signal(
            facts.StepRetried, step=step.name, attempt=attempt, delay=delay, error=failure.text
        )

    def _stuck(self, detail: str) -> None:
        self._changes.record(Stuck(self._now(), "failed", detail))
        self._changes.signal(facts.SagaStuck, reason="failed", detail=detail)
