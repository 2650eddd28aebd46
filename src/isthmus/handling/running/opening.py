"""Opening an App: engines, resources, and everything that was declared, in this order."""

import random
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Protocol

from isthmus.clock import Clock
from isthmus.connect import connect
from isthmus.contracts import Engine
from isthmus.handling.calling.resources import Resources
from isthmus.handling.configured import read_settings
from isthmus.handling.declarations import Declarations
from isthmus.handling.host import Host
from isthmus.handling.outbox import declare_outbox
from isthmus.handling.ownership import claimed, require_owned_tables
from isthmus.handling.roles import require_role
from isthmus.handling.running.forwarding import forwarded
from isthmus.settings import Settings
from isthmus.signals import Signal, Signals

__all__ = ["Connect", "opened"]


class Connect(Protocol):
    """What makes an engine of a URL: `isthmus.connect.connect`, mostly."""

    async def __call__(self, url: str, *, clock: Clock) -> Engine: ...


@asynccontextmanager
async def opened(
    name: str,
    declared: Declarations,
    settings: Settings,
    clock: Clock,
    signals: Signals,
    *,
    connect: Connect = connect,
    draw: Callable[[], float] = random.random,
) -> AsyncGenerator[Host]:
    """Yield a Host on which all of `declared` is bound; close everything at the end,
    or when a part cannot be opened. `signals` hear what policies tell meanwhile. `draw` is
    where chance comes from, 0 to 1."""
    async with AsyncExitStack() as stack:
        await read_settings(declared)
        stack.enter_context(forwarded(signals))
        engine = await _connected(connect, settings.engine, clock, stack, signals)
        state = engine
        if settings.store and settings.store != settings.engine:
            state = await _connected(connect, settings.store, clock, stack, signals)
        host = Host(
            name,
            engine=engine,
            state=state,
            settings=settings,
            clock=clock,
            signals=signals,
            draw=draw,
        )
        stack.push_async_callback(host.closing.aclose)
        if declared.database is not None:
            await claimed(host, declared.database)
        await declare_outbox(host)
        host.overrides = overrides = dict(declared.overrides)
        given = {
            kind: overrides[each] if each in overrides else each  # noqa: SIM401 - for its type
            for kind, each in declared.resources.items()
        }
        host.resources = resources = Resources(given)
        stack.push_async_callback(resources.aclose)
        await resources.open(host)
        stack.callback(declared.unbind)
        await declared.bind(host)
        if declared.database is not None:
            await require_owned_tables(host, declared.database)
            await require_role(host, declared.database)
        yield host


async def _connected(
    connect: Connect, url: str, clock: Clock, stack: AsyncExitStack, signals: Signals
) -> Engine:
    """Open an engine; `signals` hear what it tells, if it has signals of its own."""
    engine = await connect(url, clock=clock)
    stack.push_async_callback(engine.aclose)
    told = getattr(engine, "signals", None)
    if isinstance(told, Signals):
        stack.callback(told.listen(Signal, signals.emit))
    return engine
