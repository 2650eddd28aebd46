"""One attempt at a step, or at the undo of one."""

import asyncio
from collections.abc import Callable, Collection
from typing import Any

from isthmus.contracts import Put
from isthmus.errors import ConflictError, LeaseLostError, TimedOutError
from isthmus.handling.host import Host
from isthmus.handling.idempotency_key import IdempotencyKey, StepKey, in_force
from isthmus.handling.unit import PATIENCE, Unit, current
from isthmus.resilience import Policy, Retry
from isthmus.resilience.classify import never_ran
from isthmus.resilience.errors import NotCalledError
from isthmus.sagas.action import Action, Performing
from isthmus.sagas.errors import Compensate
from isthmus.sagas.heartbeat import Heartbeat

__all__ = ["PROGRESS", "Attempt", "FailedAttempt", "Failure", "is_answer"]

PROGRESS = "isthmus.sagas.progress"
"""Space of what heartbeats told last, by the step's key."""
KEPT = 7 * 86400.0
REST = 1.0
"""Seconds until what a policy refused is tried again, at least."""


class Failure:
    """How an attempt failed."""

    def __init__(self, error: Exception, *, declared: Collection[type[Exception]]) -> None:
        self.error = error
        self.kind = type(error).__name__
        self.text = f"{self.kind}: {error}" if str(error) else self.kind
        self.answers = is_answer(error, declared)
        """Whether it says for certain that the step is refused, and had no effect."""
        self.ran = not (self.answers or never_ran(error))
        """Whether it may have had its effect."""
        self.counts = not isinstance(error, NotCalledError)
        """Whether anything was called."""
        self._retry_after = getattr(error, "retry_after", None) or 0.0

    def wait(self, retry: Retry, attempt: int, draw: float) -> float:
        """Return the seconds until the attempt after the one counted `attempt`."""
        delay = max(retry.delay_before(attempt + 1, draw), self._retry_after)
        return delay if self.counts else max(delay, REST)


class FailedAttempt(Exception):  # noqa: N818 - caught where it is made
    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.text)
        self.failure = failure


def is_answer(error: BaseException, declared: Collection[type[Exception]]) -> bool:
    """Whether a saga compensates because of this error."""
    return isinstance(error, (Compensate, *declared))


class Attempt:
    """Calls an action with arguments, under a key, in a unit of work; cut by a Watch."""

    def __init__(
        self,
        host: Host,
        action: Action,
        args: tuple[Any, ...],
        *,
        key: str,
        name: str,
        policy: Policy | None,
        timeout: float,
        heartbeat: float | None = None,
        declared: Collection[type[Exception]] = (),
        attempt: int = 1,
    ) -> None:
        self._host, self._action, self._args = host, action, args
        self._key, self._name, self._policy = key, name, policy
        self.timeout, self.heartbeat = timeout, heartbeat
        self._declared, self._attempt = declared, attempt
        self.unit: Unit | None = None
        self._beat: Heartbeat | None = None
        self._task: asyncio.Task[Any] | None = None
        self._cut = ""
        self._beats, self._since = 0, 0.0

    @property
    def written(self) -> Unit | None:
        """The unit of what the action wrote; None if it wrote nothing."""
        return self.unit if self.unit is not None and self.unit.tx is not None else None

    async def run(self) -> Any:
        """Return what the action returns; its effects are in `unit`, to be committed.

        Raises:
            FailedAttempt: It failed; what it wrote is undone.
        """
        self._task = asyncio.current_task()
        token = current.set(None)
        try:
            return await self._until_no_conflict()
        except asyncio.CancelledError:
            await self.undo()
            if not self._cut or self._task is None or self._task.uncancel() > 0:
                raise
            raise self._failed(TimedOutError(self._cut)) from None
        except LeaseLostError:
            await self.undo()
            raise
        except Exception as error:
            await self.undo()
            raise self._failed(error) from error
        finally:
            current.reset(token)
            self._task = None

    def cut_if_late(self, began: float, now: float) -> None:
        """Cancel it if its time is over, or its heartbeat silent."""
        if self._task is None or self._cut:
            return None
        if now - began >= self.timeout:
            return self._end(f"did not return in {self.timeout:g} s")
        if self.heartbeat is None:
            return None
        beats = 0 if self._beat is None else self._beat.beats
        if beats != self._beats or not self._since:
            self._beats, self._since = beats, now
        elif now - self._since >= self.heartbeat:
            self._end(f"was silent for {self.heartbeat:g} s")

    def _end(self, why: str) -> None:
        self._cut = f"step {self._name!r} {why}"
        if self._task is not None:
            self._task.cancel()

    async def _until_no_conflict(self) -> Any:
        last = self._attempt + PATIENCE - 1
        for attempt in range(self._attempt, last + 1):
            try:
                if self._policy is None:
                    return await self._once(attempt)
                return await self._policy.call(self._named(attempt), idempotent=True)
            except ConflictError:
                await self.undo()
                if attempt == last:
                    raise
        raise AssertionError

    def _named(self, attempt: int) -> Callable[[], Any]:
        """Return one try as the policy knows it."""

        async def once() -> Any:
            return await self._once(attempt)

        once.__name__ = once.__qualname__ = self._name
        return once

    async def _once(self, attempt: int) -> Any:
        if self.unit is not None:
            await self.undo()  # of a try that the policy repeats
        self.unit = Unit(self._host.store, attempt)
        current.set(self.unit)
        token = in_force.set(StepKey(self._key))
        try:
            if self._action.is_bare:
                return await self._action.function(*self._args)
            return await self._action.call(self._args, await self._performing())
        finally:
            in_force.reset(token)

    async def _performing(self) -> Performing:
        store = self._host.store

        async def note(progress: bytes) -> None:
            await store.put(PROGRESS, [Put(self._key, progress, ttl=KEPT)])

        kept = None
        if self._action.beats:
            found = await store.get(PROGRESS, [self._key])
            kept = found[self._key].value if self._key in found else None
        self._beat = Heartbeat(kept, note=note)
        return Performing(self._host, IdempotencyKey(self._key), self._beat)

    async def undo(self) -> None:
        unit, self.unit = self.unit, None
        if unit is not None:
            await unit.undo()

    def _failed(self, error: Exception) -> FailedAttempt:
        if isinstance(error, FailedAttempt):
            return error
        return FailedAttempt(Failure(error, declared=self._declared))
