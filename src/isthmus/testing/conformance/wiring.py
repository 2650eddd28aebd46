"""How an engine is wired to the conformance tests: a URL, and how its time passes."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack
from typing import Any, Self, TypeVar

import pytest
import pytest_asyncio

from isthmus.clock import Clock, ManualClock
from isthmus.connect import connect
from isthmus.contracts import Engine
from isthmus.message import new_id

__all__ = ["PROMPT", "Conformance", "Opening", "Rig"]

PROMPT = 10.0
"""Real seconds after which something that should have ended is called hanging."""

Opening = Callable[[], Awaitable[Engine]]
"""Opens the engine once more, on the same database; the test closes it, or its end."""


T = TypeVar("T")


class Rig:
    """What a test has in hand: an opened engine, names of its own, and time in ticks."""

    def __init__(
        self,
        engine: Engine,
        *,
        clock: Clock,
        opening: Opening,
        tick: float,
        patience: float,
        shared: bool = False,
    ) -> None:
        self.engine = engine
        self.clock = clock
        self.opening = opening
        self.tick = tick
        self.patience = patience
        self.shared = shared
        self.name = f"{new_id()[-12:]}"
        """Part of every name of this test, so that tests may share a database."""

    @property
    def is_exact(self) -> bool:
        """Whether moments can be hit exactly."""
        return isinstance(self.clock, ManualClock)

    def went(self, gone: int, expected: int) -> bool:
        """Whether `maintain`, which knows no tests, let go of what was expected."""
        return gone >= expected if self.shared else gone == expected

    async def elapse(self, ticks: float) -> None:
        span = ticks * self.tick
        if isinstance(self.clock, ManualClock):
            await self.clock.advance(span)
        else:
            await self.clock.sleep(span)

    async def step_back(self, ticks: float) -> None:
        """Set the clock back, as a bad time server would."""
        if not isinstance(self.clock, ManualClock):
            pytest.skip("the machine's clock is not ours to set back")
        self.clock.set_back(ticks * self.tick)

    async def start(self, call: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Start a call that waits, and let it get to where it does, threads included.

        Then nothing but what it waits for shall wake it: a first look that an engine
        takes by itself would hide that nobody does.
        """
        sleepers = self._sleepers()
        task = asyncio.create_task(call)
        for turn in range(200 if self.is_exact else 25):
            await asyncio.sleep(0.0 if turn < 20 else 0.01)
            if task.done() or self._sleepers() > sleepers:
                await asyncio.sleep(0.0 if turn < 20 else 0.05)
                break
        return task

    def _sleepers(self) -> int:
        return self.clock.sleepers if isinstance(self.clock, ManualClock) else 0

    async def pause(self) -> None:
        """Let what was woken look again, threads included."""
        for _ in range(5):
            await asyncio.sleep(0.002)

    async def another(self) -> Self:
        """The same database, opened once more, with the same names."""
        rig = self.beside(await self.opening())
        rig.name = self.name
        return rig

    def beside(self, engine: Engine) -> Self:
        """One like this, with a name of its own."""
        return type(self)(
            engine,
            clock=self.clock,
            opening=self.opening,
            tick=self.tick,
            patience=self.patience,
            shared=self.shared,
        )


RigT = TypeVar("RigT", bound=Rig)


@pytest.mark.asyncio
class Conformance:
    """Subclass it beside a contract's tests, and say where the engine is.

    Only `url` must be given. Each test opens the engine anew and chooses names
    of its own, so one database may serve them all; then say that it is `shared`.
    """

    tick: float = 1.0
    """Seconds that the tests' unit of time lasts; a fraction on a SystemClock."""
    patience: float = 0.0
    """How long, in seconds, the engine may take to show what was sent. Less than
    half a tick, or a look for what must not come yet lasts until it comes."""
    shared: bool = False
    """Whether `maintain` may find what other tests left in the database."""

    @pytest.fixture
    def url(self) -> str:
        """Where the engine is; two openings of it must meet in one database."""
        raise NotImplementedError("give a fixture `url`, as memory://name")

    @pytest.fixture
    def clock(self) -> Clock:
        """The engine's clock: a ManualClock, if it can live on one."""
        return ManualClock()

    async def open(self, url: str, clock: Clock) -> Engine:
        """How the engine is opened; override it to wrap what `connect` gives."""
        return await connect(url, clock=clock)

    @pytest_asyncio.fixture
    async def opening(self, url: str, clock: Clock) -> AsyncIterator[Opening]:
        async with AsyncExitStack() as opened:

            async def open_once_more() -> Engine:
                engine = await self.open(url, clock)
                opened.push_async_callback(engine.aclose)
                return engine

            yield open_once_more

    @pytest_asyncio.fixture
    async def engine(self, opening: Opening) -> Engine:
        return await opening()

    def rig(self, kind: type[RigT], engine: Engine, clock: Clock, opening: Opening) -> RigT:
        return kind(
            engine,
            clock=clock,
            opening=opening,
            tick=self.tick,
            patience=self.patience,
            shared=self.shared,
        )
