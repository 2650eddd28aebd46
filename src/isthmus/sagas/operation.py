"""What a saga's function asks for: awaited, it is the recorded outcome, or one yet to come."""

from collections.abc import Callable, Coroutine, Generator
from typing import Any, ClassVar, Protocol

from isthmus.resilience import Policy, Retry
from isthmus.sagas.action import Action
from isthmus.sagas.course import Outcome
from isthmus.sagas.errors import SagaCompensatedError, StepFailedError
from isthmus.sagas.events import ChildEnded, Done, Failed, Received
from isthmus.schema import Schema

__all__ = ["Child", "Gather", "Operation", "Player", "Sleep", "Step", "WaitFor"]


class Player(Protocol):
    """Who knows what is recorded."""

    def outcome_of(self, operation: "Operation") -> Outcome | None:
        """Return what is recorded of it; None if nothing is."""
        ...


class Operation:
    """Something asked for at one position of the function."""

    kind: ClassVar[str]

    def __init__(self, playback: Player, position: str, name: str) -> None:
        self.playback, self.position, self.name = playback, position, name

    def __await__(self) -> Generator["Operation", Outcome, Any]:
        outcome = self.playback.outcome_of(self)
        if outcome is None:
            outcome = yield self
        return self.value(outcome)

    def value(self, outcome: Outcome) -> Any:
        """Return what the function gets, or raise it."""
        raise NotImplementedError


class Step(Operation):
    kind = "step"

    def __init__(
        self,
        playback: Player,
        position: str,
        name: str,
        *,
        action: Action,
        args: tuple[Any, ...],
        undo: Callable[..., object] | None,
        policy: Policy | None,
        retry: Retry,
        undo_policy: Policy | None,
        undo_retry: Retry,
        timeout: float,
        heartbeat: float | None,
        key: str,
    ) -> None:
        super().__init__(playback, position, name)
        self.action, self.args, self.undo = action, args, undo
        self.policy, self.retry = policy, retry
        self.undo_policy, self.undo_retry = undo_policy, undo_retry
        self.timeout, self.heartbeat, self.key = timeout, heartbeat, key

    @property
    def announced(self) -> bool:
        """Whether it is recorded before it runs, as it may have happened and needs its undo."""
        return self.undo is not None and not self.action.joins

    def value(self, outcome: Outcome) -> Any:
        if isinstance(outcome, Failed):
            raise StepFailedError(self.name, outcome.error, kind=outcome.kind)
        assert isinstance(outcome, Done)
        return self.action.result.decode(outcome.result)


class Sleep(Operation):
    kind = "sleep"

    def __init__(self, playback: Player, position: str, span: float) -> None:
        super().__init__(playback, position, "")
        self.span = span

    def value(self, outcome: Outcome) -> None:
        del outcome


class WaitFor(Operation):
    kind = "wait_for"

    def __init__(
        self,
        playback: Player,
        position: str,
        schema: Schema[Any],
        name: str,
        *,
        key: str,
        timeout: float | None,
    ) -> None:
        super().__init__(playback, position, name)
        self.schema, self.key, self.timeout = schema, key, timeout

    def value(self, outcome: Outcome) -> Any:
        return self.schema.decode(outcome.body) if isinstance(outcome, Received) else None


class Child(Operation):
    kind = "child"

    def __init__(
        self,
        playback: Player,
        position: str,
        name: str,
        *,
        version: int,
        id: str,
        input: bytes,
        timeout: float | None,
        result: Callable[[bytes], Any],
    ) -> None:
        super().__init__(playback, position, name)
        self.version, self.id, self.input, self.timeout = version, id, input, timeout
        self._result = result

    def value(self, outcome: Outcome) -> Any:
        assert isinstance(outcome, ChildEnded)
        if outcome.status != "completed":
            raise SagaCompensatedError(f"saga {self.name}/{self.id}: {outcome.error}")
        return self._result(outcome.result)


class Gather(Operation):
    """Several branches; nothing of its own is recorded."""

    kind = "gather"

    def __init__(
        self, playback: Player, position: str, coroutines: list[Coroutine[Any, Any, Any]]
    ) -> None:
        super().__init__(playback, position, "")
        self.coroutines = coroutines

    def __await__(self) -> Generator[Operation, Any, list[Any]]:
        results = yield self
        return results
