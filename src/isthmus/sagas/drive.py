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

from isthmus.contracts import Ack, Delivery, Receiver
from isthmus.errors import ConflictError, SchemaError
from isthmus.handling.carried import trace
from isthmus.handling.unit import PATIENCE, Unit
from isthmus.sagas import commands, facts
from isthmus.sagas.attempt import is_answer
from isthmus.sagas.changes import Changes
from isthmus.sagas.commands import Command, Report, Start
from isthmus.sagas.compensation import Compensation
from isthmus.sagas.course import Course
from isthmus.sagas.deciding import Deciding
from isthmus.sagas.errors import NotDeterministicError, SagaCompensatedError
from isthmus.sagas.events import Ended, Started
from isthmus.sagas.family import Families, Family, split
from isthmus.sagas.heeding import Heeding
from isthmus.sagas.history import History
from isthmus.sagas.operation import Step
from isthmus.sagas.playback import Playback
from isthmus.sagas.recipe import Recipe
from isthmus.sagas.starting import begin
from isthmus.sagas.stepping import Finished, Stepping
from isthmus.sagas.watch import Watch

__all__ = ["Drive", "LeftError"]

CRASHES = 8
"""Processes that may die with a saga in hand, one after the other, before it is stuck."""


class LeftError(Exception):
    """The saga was left between two steps, as its process ends: another goes on with it."""


class Drive:
    """One delivery of a saga's queue, and what it leads to."""

    def __init__(
        self, family: Family, delivery: Delivery, receiver: Receiver, watch: Watch
    ) -> None:
        self._family, self._host = family, family.host
        self._delivery, self._receiver, self._watch = delivery, receiver, watch
        self._now = family.host.clock.now
        self.key = delivery.message.key
        self._name, self._id = split(self.key)
        self.commits = 0
        """How often something was written: a sign of life."""
        self.leaving = False
        """Set where the process ends: no further step is begun."""
        self._tasks: dict[asyncio.Task[Finished], Step] = {}

    async def run(self) -> None:
        """Go on with the saga until it waits, or ends; then acknowledge.

        Raises:
            LeaseLostError: Another has it.
            LeftError: It was `leaving`; what was done is committed.
            ConflictError: It lost every race; nothing was written.
        """
        self._family.driven.add(self.key)
        try:
            await self._until_no_conflict()
        finally:
            self._family.driven.discard(self.key)

    async def _until_no_conflict(self) -> None:
        for attempt in range(1, PATIENCE + 1):
            try:
                return await self._go(attempt)
            except ConflictError:
                if attempt == PATIENCE:
                    raise
            finally:
                if self._tasks:
                    await self._cancel_tasks()

    async def _go(self, attempt: int) -> None:
        self._attempt = attempt
        history = await self._family.history(self._delivery.message, again=attempt > 1)
        command = commands.read(self._delivery.message)
        if not history.exists:
            return await self._absent(history, command)
        self._course = course = Course(history.events())
        self._changes = Changes(self._family, history, course)
        self._heeding = Heeding(self.key, course, self._changes, now=self._now)
        if len(course.events) == 1:
            self._changes.signal(facts.SagaStarted)
        self._heeding.heed(command)
        if course.rests:
            return await self._let_go()
        if self._delivery.lapses >= CRASHES:
            return await self._stick("crashing", f"{CRASHES} processes died with it in hand")
        await self._play()

    async def _absent(self, history: History, command: Command) -> None:
        """Begin what another saga asks for; let everything else pass, as it came too late."""
        tx = self._family.store.begin()
        if isinstance(command, Start):
            await begin(self._family, history, _started(command, self._now()), tx=tx)
            await self._family.tell(self._id, commands.Advance(), tx=tx)
        elif isinstance(command, commands.Compensate) and command.parent:
            name, parent = split(command.parent)
            gone = Report(command.position, "forgotten", b"", f"saga {self.key} is not kept")
            await self._host.kept(Families).of(name).tell(parent, gone, tx=tx)
        await self._receiver.settle([Ack(self._delivery.receipt)], tx=tx)
        await tx.commit()

    # --- forward ----------------------------------------------------------------------------

    async def _play(self) -> None:
        version = self._course.started.version
        recipe = self._family.versions.get(version)
        if recipe is None:
            known = ", ".join(map(str, sorted(self._family.versions)))
            missing = f"version {version} of saga {self._name!r} is not registered here: {known} is"
            return await self._stick("version missing", missing)
        try:
            _, self._playback = recipe.played(self.key, self._course)
        except SchemaError as error:
            return await self._stick("failed", f"its input cannot be read: {error}")
        self._recipe = recipe
        told = self._family, self.key, self._course
        self._deciding = Deciding(*told, self._playback, self._changes)
        self._stepping = Stepping(
            self._family, self._course, self._changes, self._watch, recipe.options
        )
        try:
            await self._forward(recipe)
        finally:
            self._playback.close()

    async def _forward(self, recipe: Recipe) -> None:
        trace.set(self._course.started.trace)  # of this task, which is this drive's own
        unit: Unit | None = None
        while self._course.compensating is None:
            steps = () if self._course.rests else await self._decided(recipe)
            if self._course.rests:
                return await self._let_go(unit)
            if self._course.compensating is not None:
                break
            if not steps and not self._tasks:
                return await self._let_go(unit)
            if self._changes.any or unit is not None:
                await self._commit(unit)
            if self.leaving and not self._tasks:
                raise LeftError
            unit = await self._work(() if self.leaving else steps)
        await self._cancel_tasks()
        await self._backward(recipe, unit)

    async def _decided(self, recipe: Recipe) -> Sequence[Step]:
        """Return the steps to begin now, once all that needs none is decided."""
        timeout_at = self._course.started.timeout_at
        if timeout_at and self._now() >= timeout_at:
            self._heeding.compensate("timeout", "it took longer than its timeout")
            return ()
        steps = await self._deciding.decide()
        fault = self._playback.fault
        if fault is not None:
            astray = isinstance(fault, NotDeterministicError)
            self._heeding.stick("nondeterministic" if astray else "failed", str(fault))
        elif self._playback.ended:
            self._end(recipe, self._playback)
        return steps

    def _end(self, recipe: Recipe, playback: Playback) -> None:
        error = playback.main.error
        if error is None:
            self._complete(recipe, playback.main.value)
        elif is_answer(error, (SagaCompensatedError, *recipe.options.compensate_on)):
            self._heeding.compensate("declared", str(error))
        else:
            self._heeding.stick("failed", f"{type(error).__name__}: {error}")

    def _complete(self, recipe: Recipe, value: object) -> None:
        try:
            result = recipe.result.encode(value)
        except SchemaError as error:
            return self._heeding.stick("failed", str(error))
        self._ended(Ended(self._now(), "completed", result, ""))

    def _ended(self, ended: Ended) -> None:
        started = self._course.started
        self._changes.record(ended)
        if started.parent:
            report = Report(started.position, ended.status, ended.result, ended.error)
            self._changes.tell(started.parent, report)
        took = ended.at - started.at
        self._changes.signal(facts.SagaEnded, status=ended.status, took=took)

    # --- steps ------------------------------------------------------------------------------

    async def _work(self, steps: Sequence[Step]) -> Unit | None:
        """Begin `steps`; record what the first that finishes came to. Return its unit, whose
        transaction the next commit is to be."""
        if len(steps) == 1 and not self._tasks:
            finished = await self._stepping.attempt(steps[0], run=self._attempt)
            self._stepping.record(finished)
            return finished.unit
        for step in steps:
            self._playback.busy.add(step.position)
            attempt = self._stepping.attempt(step, run=self._attempt)
            self._tasks[asyncio.create_task(attempt)] = step
        done, _ = await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            await self._record_apart(self._tasks.pop(task), task.result())
        return None

    async def _record_apart(self, step: Step, finished: Finished) -> None:
        """Commit what one of several steps came to, before the function goes on."""
        self._stepping.record(finished)
        await self._commit(finished.unit)
        self._playback.busy.discard(step.position)

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

    # --- backward ---------------------------------------------------------------------------

    async def _backward(self, recipe: Recipe, unit: Unit | None) -> None:
        playback, course = self._playback, self._course
        playback.busy.clear()
        playback.advance()  # now that nothing is begun any more, all undos are known
        if isinstance(playback.fault, NotDeterministicError):
            self._heeding.stick("nondeterministic", str(playback.fault))
        compensation = Compensation(
            self._family, self.key, course, playback, self._changes, self._watch, recipe
        )
        while not course.rests:
            step = compensation.next()
            if step is None:
                if not compensation.waits:
                    assert course.compensating is not None
                    self._ended(Ended(self._now(), "compensated", b"", course.compensating.why))
                break
            if self._changes.any or unit is not None:
                await self._commit(unit)
            if self.leaving:
                raise LeftError
            unit = await compensation.undo(step, attempt=self._attempt)
        await self._let_go(unit)

    # --- letting go -------------------------------------------------------------------------

    async def _stick(self, reason: str, detail: str) -> None:
        self._heeding.stick(reason, detail)
        await self._let_go()

    async def _commit(self, unit: Unit | None) -> None:
        await self._changes.commit(unit)
        self.commits += 1

    async def _let_go(self, unit: Unit | None = None) -> None:
        if not self._changes.any and unit is None:
            return await self._receiver.settle([Ack(self._delivery.receipt)])
        await self._changes.commit(unit, receiver=self._receiver, receipt=self._delivery.receipt)


def _started(command: Start, now: float) -> Started:
    timeout_at = 0.0 if command.timeout is None else now + command.timeout
    told = command.parent, command.position
    return Started(now, command.version, command.input, timeout_at, *told, command.trace)
