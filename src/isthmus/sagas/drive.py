"""One saga in hand: heeds what it is told, goes on as far as it can, and lets go of it.

    load ──► heed the command ──► play ──► decide ──► commit ──► do the steps ──┐
                                    ▲                    │                      │
                                    └── what came of it ─┼──────────────────────┘
                                                         └─► waits, or ended: acknowledge, let go

Every commit is fenced by the history's version: whoever lost the saga meanwhile writes nothing.
The function is played on before a step's commit, so that what follows from its result - the
announcement of the next step, a timer, the end - is in the same commit.
"""

import asyncio
from collections.abc import Sequence
from functools import partial

from isthmus.contracts import Ack, Delivery, Receiver
from isthmus.errors import ConflictError, SchemaError
from isthmus.handling.unit import PATIENCE, Unit
from isthmus.sagas import commands, facts
from isthmus.sagas.attempt import Attempt, FailedAttempt, Failure, is_answer
from isthmus.sagas.changes import Changes
from isthmus.sagas.commands import Command, Report, Start
from isthmus.sagas.compensation import Compensation
from isthmus.sagas.course import Course
from isthmus.sagas.deciding import Deciding
from isthmus.sagas.errors import NotDeterministicError, SagaCompensatedError
from isthmus.sagas.events import (
    Came,
    ChildEnded,
    Compensating,
    Done,
    Ended,
    Failed,
    Resumed,
    Started,
    Stuck,
    Tried,
    Undone,
)
from isthmus.sagas.family import Families, Family, split
from isthmus.sagas.history import History, load
from isthmus.sagas.operation import Step
from isthmus.sagas.playback import Playback
from isthmus.sagas.starting import begin
from isthmus.sagas.watch import Watch

__all__ = ["Drive"]

CRASHES = 8
"""Processes that may die with a saga in hand, one after the other, before it is stuck."""


class _Finished:
    """What came of a step."""

    def __init__(
        self, step: Step, unit: Unit | None, result: bytes, failure: Failure | None
    ) -> None:
        self.step, self.unit, self.result, self.failure = step, unit, result, failure


class Drive:
    """One delivery of a saga's queue, and what it leads to."""

    def __init__(
        self, family: Family, delivery: Delivery, receiver: Receiver, watch: Watch
    ) -> None:
        self._family, self._host = family, family.host
        self._delivery, self._receiver, self._watch = delivery, receiver, watch
        self._now = family.host.clock.now
        self.key = delivery.message.key
        self._name, self.id = split(self.key)
        self.commits = 0
        """How often something was written: a sign of life."""
        self._tasks: dict[asyncio.Task[_Finished], Step] = {}

    async def run(self) -> None:
        """Go on with the saga until it waits, or ends; then acknowledge.

        Raises:
            LeaseLostError: Another has it.
            ConflictError: It lost every race; nothing was written.
        """
        for attempt in range(1, PATIENCE + 1):
            try:
                return await self._go(attempt)
            except ConflictError:
                if attempt == PATIENCE:
                    raise
            finally:
                await self._cancel_tasks()

    async def _go(self, attempt: int) -> None:
        self._attempt = attempt
        history = await load(self._family.store, self.key)
        command = commands.read(self._delivery.message)
        if not history.exists:
            return await self._absent(history, command)
        course = self._course = Course(history.events())
        self._changes = Changes(self._family, history, course)
        self._heed(command)
        if course.rests:
            return await self._let_go()
        if self._delivery.lapses >= CRASHES:
            return await self._stick("crashing", f"{CRASHES} processes died with it in hand")
        await self._play()

    async def _absent(self, history: History, command: Command) -> None:
        """Begin what another saga asks for; let everything else pass, as it came too late."""
        tx = self._family.store.begin()
        if isinstance(command, Start):
            timeout_at = 0.0 if command.timeout is None else self._now() + command.timeout
            started = Started(
                self._now(),
                command.version,
                command.input,
                timeout_at,
                command.parent,
                command.position,
            )
            await begin(self._family, history, started, tx=tx)
            await self._family.tell(self.id, commands.Advance(), tx=tx)
        elif isinstance(command, commands.Compensate) and command.parent:
            name, parent = split(command.parent)
            gone = Report(command.position, "forgotten", b"", f"saga {self.key} is not kept")
            await self._of(name).tell(parent, gone, tx=tx)
        await self._receiver.settle([Ack(self._delivery.receipt)], tx=tx)
        await tx.commit()

    def _of(self, name: str) -> Family:
        return self._host.kept(Families).of(name)

    # --- heeding ----------------------------------------------------------------------------

    def _heed(self, command: Command) -> None:
        course = self._course
        match command:
            case commands.Deliver(name, key, body, id) if course.ended is None:
                if not any(isinstance(each, Came) and each.id == id for each in course.events):
                    self._changes.record(Came(self._now(), name, key, body, id))
            case commands.Cancel(why) if course.ended is None:
                self._turn_back(why)
            case commands.Compensate():
                self._take_back(command)
            case commands.Resume() if self._can_resume():
                self._unstick()
            case Report():
                self._report(command)
            case Start():
                self._again(command)
            case _:
                pass

    def _can_resume(self) -> bool:
        course = self._course
        return course.ended is None and bool(
            course.stuck is not None or course.tries or course.undo_tries
        )

    def _turn_back(self, why: str) -> None:
        if self._course.stuck is not None:
            self._unstick()
        if self._course.compensating is None:
            self._compensating("cancelled", why)

    def _take_back(self, command: commands.Compensate) -> None:
        if self._course.status != "compensated":
            self._turn_back(command.why)
        elif command.parent:
            report = Report(command.position, "compensated", b"", command.why)
            self._changes.tell(command.parent, report)

    def _unstick(self) -> None:
        self._changes.record(Resumed(self._now()))
        self._changes.signal(partial(facts.SagaResumed, saga=self._name, id=self.id))

    def _report(self, report: Report) -> None:
        """A child of ours has ended."""
        course, position = self._course, report.position
        if position not in course.children or course.ended is not None:
            return
        name = course.children[position].name
        if course.compensating is None and position not in course.outcomes:
            ended = ChildEnded(
                self._now(), position, name, report.status, report.result, report.error
            )
            self._changes.record(ended)
        elif course.compensating is not None and position not in course.undone:
            if report.status == "compensated":
                self._changes.record(Undone(self._now(), position, name))
            elif report.status == "forgotten":
                self._changes.record(Stuck(self._now(), "compensation", report.error))

    def _again(self, command: Start) -> None:
        """A saga asks for one that is there already: itself, asking again, or another."""
        course = self._course
        started = course.started
        if (started.parent, started.position) != (command.parent, command.position):
            taken = Report(command.position, "refused", b"", f"the id of {self.key} is taken")
            self._changes.tell(command.parent, taken)

    # --- playing ----------------------------------------------------------------------------

    async def _play(self) -> None:
        version = self._course.started.version
        recipe = self._family.versions.get(version)
        if recipe is None:
            known = ", ".join(map(str, sorted(self._family.versions)))
            missing = f"version {version} of saga {self._name!r} is not registered here: {known} is"
            return await self._stick("version missing", missing)
        self._recipe = recipe
        try:
            _, self._playback = recipe.played(self.key, self._course)
        except SchemaError as error:
            return await self._stick("failed", f"its input cannot be read: {error}")
        try:
            self._deciding = Deciding(
                self._family, self.key, self._course, self._playback, self._changes
            )
            await self._forward()
        finally:
            self._playback.close()

    async def _forward(self) -> None:
        unit: Unit | None = None
        while self._course.compensating is None:
            steps = await self._decided()
            if self._course.rests:
                return await self._let_go(unit)
            if self._course.compensating is not None:
                break
            if not steps and not self._tasks:
                return await self._let_go(unit)
            if self._changes.any or unit is not None:
                await self._commit(unit)
                unit = None
            unit = await self._work(steps)
        await self._cancel_tasks()
        await self._backward(unit)

    async def _decided(self) -> Sequence[Step]:
        """Return the steps to begin now, once all that needs none is decided."""
        if self._is_over_time():
            self._compensating("timeout", "it took longer than its timeout")
            return ()
        steps = await self._deciding.decide()
        playback = self._playback
        if playback.fault is not None:
            kind = "nondeterministic" if _is_astray(playback) else "failed"
            self._stuck(kind, str(playback.fault))
        elif playback.ended:
            self._end(playback)
        return steps

    def _is_over_time(self) -> bool:
        timeout_at = self._course.started.timeout_at
        return bool(timeout_at) and self._now() >= timeout_at

    def _end(self, playback: Playback) -> None:
        error = playback.main.error
        if error is None:
            try:
                result = self._recipe.result.encode(playback.main.value)
            except SchemaError as problem:
                return self._stuck("failed", str(problem))
            self._ended(Ended(self._now(), "completed", result, ""))
        elif is_answer(error, self._recipe.options.compensate_on) or isinstance(
            error, SagaCompensatedError
        ):
            self._compensating("declared", str(error))
        else:
            self._stuck("failed", f"{type(error).__name__}: {error}")

    def _ended(self, ended: Ended) -> None:
        started = self._course.started
        self._changes.record(ended)
        if started.parent:
            report = Report(started.position, ended.status, ended.result, ended.error)
            self._changes.tell(started.parent, report)
        took = ended.at - started.at
        self._changes.signal(
            partial(facts.SagaEnded, saga=self._name, id=self.id, status=ended.status, took=took)
        )

    # --- steps ------------------------------------------------------------------------------

    async def _work(self, steps: Sequence[Step]) -> Unit | None:
        """Begin `steps`; record what the first that finishes came to. Return its unit, whose
        transaction the next commit is to be."""
        if len(steps) == 1 and not self._tasks:
            finished = await self._attempted(steps[0])
            self._record(finished)
            return finished.unit
        for step in steps:
            self._playback.busy.add(step.position)
            self._tasks[asyncio.create_task(self._attempted(step))] = step
        done, _ = await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            step = self._tasks.pop(task)
            finished = task.result()
            await self._record_apart(step, finished)
        return None

    async def _record_apart(self, step: Step, finished: _Finished) -> None:
        """Commit what one of several steps came to, before the function goes on."""
        self._record(finished)
        await self._commit(finished.unit)
        self._playback.busy.discard(step.position)

    async def _attempted(self, step: Step) -> _Finished:
        options = self._recipe.options
        attempt = Attempt(
            self._host,
            step.action,
            step.args,
            key=step.key,
            name=step.name,
            policy=step.policy,
            timeout=self._within(step.timeout),
            heartbeat=step.heartbeat,
            declared=options.compensate_on,
            attempt=self._attempt,
        )
        try:
            with self._watch.over(attempt):
                value = await attempt.run()
            result = step.action.result.encode(value)
        except FailedAttempt as failed:
            return _Finished(step, None, b"", failed.failure)
        except SchemaError as error:
            await attempt.undo()
            return _Finished(step, None, b"", Failure(error, declared=()))
        unit = attempt.unit
        return _Finished(step, None if unit is None or unit.tx is None else unit, result, None)

    def _within(self, timeout: float) -> float:
        timeout_at = self._course.started.timeout_at
        return min(timeout, max(0.001, timeout_at - self._now())) if timeout_at else timeout

    def _record(self, finished: _Finished) -> None:
        step, failure, now = finished.step, finished.failure, self._now()
        named = {"saga": self._name, "id": self.id, "step": step.name}
        if failure is None:
            self._changes.record(Done(now, step.position, step.name, finished.result))
            self._changes.signal(partial(facts.StepDone, **named))
            return
        tried = self._course.tries.get(step.position)
        attempt = (tried.attempt if tried else 0) + failure.counts
        ran = not step.action.joins and (failure.ran or (tried is not None and tried.ran))
        if failure.answers or (failure.counts and step.retry.spent(attempt)):
            failed = Failed(now, step.position, step.name, failure.kind, failure.text, ran)
            self._changes.record(failed)
            self._changes.signal(partial(facts.StepFailed, error=failure.text, **named))
            return
        delay = step.retry.delay_before(attempt + 1, self._host.draw())
        delay = max(delay, failure.retry_after or 0.0, 0.0 if failure.counts else 1.0)
        again = Tried(now, step.position, step.name, attempt, failure.text, now + delay, ran)
        self._changes.record(again)
        self._changes.wake_at(again.again_at)
        self._changes.signal(
            partial(facts.StepRetried, attempt=attempt, delay=delay, error=failure.text, **named)
        )

    async def _cancel_tasks(self) -> None:
        tasks, self._tasks = list(self._tasks), {}
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        for task in tasks:
            if not task.cancelled() and task.exception() is None:
                unit = task.result().unit
                if unit is not None:
                    await unit.undo()

    # --- compensating -----------------------------------------------------------------------

    def _compensating(self, cause: str, why: str) -> None:
        self._changes.record(Compensating(self._now(), cause, why))  # pyright: ignore[reportArgumentType]
        self._changes.signal(partial(facts.SagaCompensating, saga=self._name, id=self.id, why=why))

    async def _backward(self, unit: Unit | None) -> None:
        playback, course = self._playback, self._course
        playback.busy.clear()
        playback.advance()
        if playback.fault is not None and _is_astray(playback):
            self._stuck("nondeterministic", str(playback.fault))
            return await self._let_go(unit)
        compensation = Compensation(
            self._family, self.key, course, playback, self._changes, self._watch, self._recipe
        )
        while True:
            step = None if course.rests else compensation.next()
            if step is None and not course.rests and not compensation.waits:
                assert course.compensating is not None
                self._ended(Ended(self._now(), "compensated", b"", course.compensating.why))
            if step is None:
                return await self._let_go(unit)
            if self._changes.any or unit is not None:
                await self._commit(unit)
            unit = await compensation.undo(step, attempt=self._attempt)

    # --- letting go -------------------------------------------------------------------------

    def _stuck(self, reason: str, detail: str) -> None:
        self._changes.record(Stuck(self._now(), reason, detail))
        self._changes.signal(
            partial(facts.SagaStuck, saga=self._name, id=self.id, reason=reason, detail=detail)
        )

    async def _stick(self, reason: str, detail: str) -> None:
        self._stuck(reason, detail)
        await self._let_go()

    async def _commit(self, unit: Unit | None) -> None:
        await self._changes.commit(unit)
        self.commits += 1

    async def _let_go(self, unit: Unit | None = None) -> None:
        if not self._changes.any and unit is None:
            return await self._receiver.settle([Ack(self._delivery.receipt)])
        await self._changes.commit(unit, receiver=self._receiver, receipt=self._delivery.receipt)


def _is_astray(playback: Playback) -> bool:
    return isinstance(playback.fault, NotDeterministicError)
