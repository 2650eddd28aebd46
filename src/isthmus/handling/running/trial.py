"""An App on memory and virtual time, for tests: quick, exact, and it never sleeps.

async with app.test() as t:
    await orders.send(order)
    await t.settle()
    assert t.sent(accepted) == [order]
    await t.advance(3600)
"""

import asyncio
from collections.abc import Generator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar, runtime_checkable

from isthmus.clock import ManualClock, Span, seconds
from isthmus.contracts import Ack, Receiver
from isthmus.handling.declarations import Declarations
from isthmus.handling.host import Host
from isthmus.handling.running.opening import opened
from isthmus.handling.running.runtime import Runtime
from isthmus.message import Message
from isthmus.schema.wire import Wire
from isthmus.settings import Settings
from isthmus.signals import Signals

__all__ = ["Handling", "Trial"]

T = TypeVar("T")

WITNESS = "isthmus-trial"
"""The subscription that sees everything sent."""

SERVERS = frozenset(("grpc", "http"))
"""The workers that are left out: sockets know nothing of virtual time."""

TELLING = ("memory://", "postgresql://")
"""Engines that have answered, or tell the clock that they have not yet."""

PAUSE = 0.001
"""Real seconds a turn, which an engine with threads of its own needs to answer in."""

LEISURE = 12.0
"""Days of virtual time are not spent on looking what is paused: `settle` looks."""

QUIET, LONGER = 60, 180
"""Turns of the loop in which nothing may stir before a trial counts as settled; where a turn has
no pause, it takes more of them."""


@runtime_checkable
class Handling(Protocol):
    """A worker that tells what it has in hand."""

    @property
    def in_hand(self) -> Sequence[object]: ...


class _Sendable(Protocol[T]):
    @property
    def name(self) -> str: ...

    @property
    def wire(self) -> Wire[T]: ...


class Trial:
    """A running App whose time stands still until `advance`."""

    def __init__(
        self,
        name: str,
        declared: Declarations,
        signals: Signals,
        topics: Sequence[str],
        *,
        engine: str = "memory://",
        meanwhile: AbstractContextManager[object] | None = None,
    ) -> None:
        """`meanwhile`: entered before the App opens, left when it is closed."""
        self.clock = ManualClock(pause=0.0 if engine.startswith(TELLING) else PAUSE)
        settings = Settings(engine=engine)
        self._declared, self._topics = declared, topics
        self._opening = opened(name, declared, settings, self.clock, signals)
        self._meanwhile = meanwhile or nullcontext()
        self._sent: dict[str, list[Message]] = {topic: [] for topic in topics}

    async def __aenter__(self) -> Self:
        self._meanwhile.__enter__()
        try:
            self.host: Host = await self._opening.__aenter__()
        except BaseException:
            self._meanwhile.__exit__(None, None, None)
            raise
        if self.clock.attends:
            self.clock.attend(lambda: self.host.threads.busy)  # no pause gives them time
        self._witnesses = {topic: await self._witness(topic) for topic in self._topics}
        self._runtime = Runtime(self._declared, self.host, apart=SERVERS, leisure=LEISURE)
        self._running = asyncio.create_task(self._runtime.run())
        await self.settle()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._meanwhile_left():
            await self._runtime.drain()
            while not self._running.done():
                await self.clock.advance(1.0)
            await self._opening.__aexit__(kind, error, trace)
            await self._running

    @contextmanager
    def _meanwhile_left(self) -> Generator[None]:
        try:
            yield
        finally:
            self._meanwhile.__exit__(None, None, None)

    async def advance(self, span: Span) -> None:
        """Let time pass: whatever falls due happens, in its order."""
        await self._runtime.controls.apply(self.host)
        await self.clock.advance(seconds(span))
        await self.settle()

    async def settle(self) -> None:
        """Let everything happen that can happen now."""
        await self._runtime.controls.apply(self.host)
        quiet, before = 0, None
        enough = LONGER if self.clock.attends else QUIET
        while quiet < enough:
            await self.clock.settle(1)
            now = self._in_hand()
            quiet = quiet + 1 if now == before else 0
            before = now
        for topic, witness in self._witnesses.items():
            seen = await witness.receive(1_000_000, wait=0.0)
            await witness.settle([Ack(delivery.receipt) for delivery in seen])
            self._sent[topic] += [delivery.message for delivery in seen]
        if self._running.done():
            await self._running

    def sent(self, to: _Sendable[T]) -> list[T]:
        """Return what was sent to a queue or published on a topic, and committed."""
        return to.wire.read_all(self.messages(to))

    def messages(self, to: _Sendable[Any]) -> Sequence[Message]:
        """Return the same as messages, with their ids, keys and headers."""
        return self._sent[to.name]

    def _in_hand(self) -> Sequence[object]:
        """What is being handled: as long as it changes, something stirs."""
        workers = self._declared.workers
        return [worker.in_hand for worker in workers if isinstance(worker, Handling)]

    async def _witness(self, topic: str) -> Receiver:
        await self.host.queue.declare(topic, WITNESS)
        return await self.host.queue.receiver(topic, WITNESS, limit=1_000_000, lease=1e9)
