"""A Host to try parts of the runtime on, and a way to call a handler without a consumer."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from isthmus.clock import ManualClock
from isthmus.contracts import Delivery
from isthmus.handling.calling.handler import Failed, Handler
from isthmus.handling.declarations import Declarations
from isthmus.handling.host import Host
from isthmus.handling.running.opening import opened
from isthmus.handling.unit import Unit, current
from isthmus.message import Message
from isthmus.schema import schema_of
from isthmus.settings import Settings
from isthmus.signals import Signals

Opening = Callable[[], AbstractAsyncContextManager[Host]]
Called = Callable[..., Awaitable[Failed | None]]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def declared() -> Declarations:
    return Declarations("shop")


@pytest.fixture
def signals() -> Signals:
    return Signals()


@pytest.fixture(params=["memory", "sqlite"])
def opening(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    declared: Declarations,
    clock: ManualClock,
    signals: Signals,
) -> Opening:
    """Open a Host, as another process would, on one database."""
    urls = {"memory": f"memory://{tmp_path.name}", "sqlite": f"sqlite:///{tmp_path}/shop.db"}
    settings = Settings(engine=urls[request.param])
    return partial(opened, "shop", declared, settings, clock, signals)


@pytest.fixture
async def host(opening: Opening) -> AsyncGenerator[Host]:
    async with opening() as host:
        yield host


@pytest.fixture
async def memory(
    declared: Declarations, clock: ManualClock, signals: Signals
) -> AsyncGenerator[Host]:
    async with opened("shop", declared, Settings(engine="memory://"), clock, signals) as host:
        yield host


@pytest.fixture
def called(declared: Declarations, memory: Host) -> Called:
    """Call a function as the handler of `type_` with messages, in a unit of work; commit."""

    async def call(
        function: Callable[..., Any],
        type_: Any,
        messages: Sequence[Message],
        *,
        batch: bool = False,
        attempt: int = 1,
    ) -> Failed | None:
        handler = Handler(function, schema=schema_of(type_), declared=declared, batch=batch)
        unit = Unit(memory.store, attempt, [Delivery(each, "r", attempt) for each in messages])
        current.set(unit)
        failed = await handler.bind(memory)(messages)
        if unit.tx is not None:
            await unit.tx.commit()
        return failed

    return call
