"""What a saga's function is given: everything it may ask of the world."""

import hashlib
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from datetime import UTC, datetime
from random import Random
from types import TracebackType
from typing import Any, Generic, Protocol, Self, TypeVar, overload
from urllib.parse import quote
from uuid import UUID

from isthmus.clock import Span, seconds
from isthmus.errors import ConfigError
from isthmus.resilience import Policy, Retry
from isthmus.sagas.action import action_of, step_name
from isthmus.sagas.kept import Kept
from isthmus.sagas.operation import Child, Gather, Sleep, Step, WaitFor
from isthmus.sagas.options import SagaOptions, ladder, positive
from isthmus.sagas.playback import Playback
from isthmus.schema import schema_of

__all__ = ["Parallel", "Saga", "event_name"]

T = TypeVar("T")
I = TypeVar("I")  # noqa: E741
R = TypeVar("R")
I_contra = TypeVar("I_contra", contravariant=True)
R_co = TypeVar("R_co", covariant=True)


class Held(Protocol[R_co]):
    """A hold on a saga that was started."""

    async def result(self) -> R_co: ...


class Runnable(Protocol[I_contra, R_co]):
    """A saga that another may run: what `app.saga` makes."""

    @property
    def name(self) -> str: ...
    @property
    def version(self) -> int: ...
    @property
    def options(self) -> SagaOptions: ...
    @property
    def input(self) -> Kept: ...
    @property
    def result(self) -> Kept: ...

    def start(self, value: I_contra, *, id: str | None = None) -> Awaitable[Held[R_co]]: ...


class Saga:
    """A running saga, as its function sees it.

    The function is played again whenever the saga goes on, and has to ask for the same each time:
    time, chance and everything outside come from here. What happened already is not done again.
    """

    def __init__(self, name: str, version: int, id: str, options: SagaOptions) -> None:
        self.name, self.version, self.id = name, version, id
        self.state: dict[str, Any] = {}
        """What queries are told from: the function's own, made anew each time it is played."""
        self._options, self._prefix = options, f"{name}/{quote(id)}/"
        self._playback: Playback | None = None

    def play(self, playback: Playback) -> None:
        """Be the one that `playback` plays."""
        self._playback = playback

    @property
    def _played(self) -> Playback:
        if self._playback is None:
            raise ConfigError(f"saga {self.name!r} is not running")
        return self._playback

    # --- doing ------------------------------------------------------------------------------

    @overload
    async def step(
        self,
        action: Callable[..., Awaitable[T]],
        *args: Any,
        undo: Callable[..., object] | None = None,
        policy: Policy | Retry | None = None,
        undo_policy: Policy | Retry | None = None,
        timeout: Span | None = None,  # noqa: ASYNC109
        heartbeat: Span | None = None,
        key: str | None = None,
        name: str = "",
    ) -> T: ...
    @overload
    async def step(
        self,
        action: Callable[..., T],
        *args: Any,
        undo: Callable[..., object] | None = None,
        policy: Policy | Retry | None = None,
        undo_policy: Policy | Retry | None = None,
        timeout: Span | None = None,  # noqa: ASYNC109
        heartbeat: Span | None = None,
        key: str | None = None,
        name: str = "",
    ) -> T: ...
    async def step(
        self,
        action: Callable[..., Any],
        *args: Any,
        undo: Callable[..., object] | None = None,
        policy: Policy | Retry | None = None,
        undo_policy: Policy | Retry | None = None,
        timeout: Span | None = None,  # noqa: ASYNC109 - it is recorded, not waited here
        heartbeat: Span | None = None,
        key: str | None = None,
        name: str = "",
    ) -> Any:
        """Do `action(*args)` once in effect, and return what it returns, as it is recorded.

        An action that takes a Transaction commits with its record: its effect happens once. Any
        other happens at least once, each time under the same key: `key`, else the saga's name, id
        and the step's position, which clients of isthmus send along.

        `undo(result)` takes it back, should the saga compensate; `undo(Unknown(key))` if the step
        may have happened but never answered. An action without a Transaction has its undo
        recorded before it runs.

        `policy`: a Policy guards each attempt, in this process; a Retry says when another attempt
        follows, over crashes. Default: the saga's `retry`; none beyond a Policy with a Retry of
        its own. `undo_policy` likewise, of the undo. `timeout`: seconds that one attempt may take.
        `heartbeat`: seconds for which its Heartbeat may be silent.

        Raises:
            StepFailedError: It failed for good; uncaught, the saga compensates.
        """
        playback, chosen = self._played, name or step_name(action)
        position = playback.position("step", chosen)
        options = self._options
        own_action = action_of(action, len(args))
        if own_action.takes < len(args):
            raise ConfigError(
                f"{own_action.title}() takes {own_action.takes} of the {len(args)} arguments that "
                f"step {chosen!r} gives it"
            )
        own, retry = ladder(policy, options.retry)
        undo_own, undo_retry = ladder(undo_policy, options.undo_retry)
        return await Step(
            playback,
            position,
            chosen,
            action=own_action,
            args=args,
            undo=undo,
            policy=own,
            retry=retry,
            undo_policy=undo_own,
            undo_retry=undo_retry,
            timeout=options.step_timeout if timeout is None else positive("timeout", timeout),
            heartbeat=None if heartbeat is None else positive("heartbeat", heartbeat),
            key=key or f"{self._prefix}{position}",
        )

    async def run(
        self,
        saga: "Runnable[I, R]",
        value: I,
        *,
        id: str | None = None,
        timeout: Span | None = None,  # noqa: ASYNC109 - it is recorded, not waited here
    ) -> R:
        """Run another saga, and return its result. Its `id` is this one's and the position,
        unless it is given. Should this saga compensate, that one does, too, if it has ended or not.

        Raises:
            SagaCompensatedError: It did not come about; uncaught, this one compensates.
        """
        playback = self._played
        position = playback.position("child", saga.name)
        child = Child(
            playback,
            position,
            saga.name,
            version=saga.version,
            id=id or f"{self.id}.{position}",
            input=saga.input.encode(value),
            timeout=saga.options.timeout if timeout is None else positive("timeout", timeout),
            result=saga.result.decode,
        )
        return await child

    # --- waiting ----------------------------------------------------------------------------

    async def sleep(self, span: Span) -> None:
        """Go on after `span`: no process need be up meanwhile."""
        playback = self._played
        await Sleep(playback, playback.position("sleep", ""), max(0.0, seconds(span)))

    async def wait_for(
        self,
        event: type[T],
        *,
        key: str = "",
        timeout: Span | None = None,  # noqa: ASYNC109 - it is recorded, not waited here
    ) -> T | None:
        """Return the next event of this type and `key`; None if none came within `timeout`.

        It is one that `handle.signal` sent to this saga, or that was published on a topic which
        the saga is declared with (`on=[shipped]`), under this key. One that came earlier, and that
        nobody received, is returned at once. Without a key: one that was sent to this saga.
        """
        playback, name = self._played, event_name(event)
        waits = WaitFor(
            playback,
            playback.position("wait_for", name),
            schema_of(event),
            name,
            key=key,
            timeout=None if timeout is None else max(0.0, seconds(timeout)),
        )
        return await waits

    # --- several at once --------------------------------------------------------------------

    async def gather(self, *branches: Coroutine[Any, Any, Any]) -> list[Any]:
        """Run `branches` at once, each a call of `saga.step` or of a function of yours that makes
        some; return their results, in this order.

        If one fails, no other begins anything more; when what runs has ended, the error of the
        first that failed is raised. Branches must not depend on which of them is ahead.
        """
        playback = self._played
        return await Gather(playback, playback.position("gather", ""), list(branches))

    def parallel(self) -> "Parallel":
        """Collect branches, which run when the block is left:

        async with saga.parallel() as branches:
            room = branches.start(saga.step(book_room, trip))
            seat = branches.start(saga.step(book_seat, trip))
        print(room.result, seat.result)
        """
        return Parallel(self)

    # --- what is the same whenever it is asked ----------------------------------------------

    def now(self) -> datetime:
        """Return the moment, in UTC, of what was last recorded before this line."""
        return datetime.fromtimestamp(self._played.branch.at, UTC)

    @property
    def random(self) -> Random:
        """Chance that falls the same way whenever the saga is played. Not for secrets."""
        return self._played.chance()

    def uuid(self) -> UUID:
        """Return a UUID that is the same whenever the saga is played."""
        drawn = self._played.chance().getrandbits(128).to_bytes(16, "big")
        return UUID(bytes=hashlib.blake2b(drawn, digest_size=16).digest(), version=4)

    def patched(self, name: str) -> bool:
        """Return True for sagas that come here for the first time, False for those that passed
        this line before it asked: `if saga.patched("gift-wrap"): await saga.step(wrap, order)`."""
        return self._played.patched(name)


class _Started(Generic[T]):
    """A branch of `saga.parallel()`."""

    def __init__(self) -> None:
        self._values: Sequence[Any] | None = None
        self._index = 0

    def settle(self, values: Sequence[Any], index: int) -> None:
        self._values, self._index = values, index

    @property
    def result(self) -> T:
        """What it returned; there is none until the block is left."""
        if self._values is None:
            raise ConfigError("a branch has its result when the block of saga.parallel() is left")
        return self._values[self._index]


class Parallel:
    """Branches that are collected, then run at once."""

    def __init__(self, saga: Saga) -> None:
        self._saga = saga
        self._branches: list[Coroutine[Any, Any, Any]] = []
        self._started: list[_Started[Any]] = []

    def start(self, branch: Coroutine[Any, Any, T]) -> _Started[T]:
        """Have `branch`, as saga.step(...), run with the others."""
        started = _Started[T]()
        self._branches.append(branch)
        self._started.append(started)
        return started

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None:
            for branch in self._branches:
                branch.close()
            return
        values = await self._saga.gather(*self._branches)
        for index, started in enumerate(self._started):
            started.settle(values, index)


def event_name(event: type[Any]) -> str:
    """Return how events of a type are called where they are kept."""
    return str(schema_of(event).name or schema_of(event))
