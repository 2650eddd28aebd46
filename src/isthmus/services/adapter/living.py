"""An implementation while it is used: its clients are open, and so is what it opens itself."""

from collections.abc import AsyncGenerator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from isthmus.services.client.client import Client
from isthmus.signals import Signals

__all__ = ["clients_of", "living"]


def clients_of(implementation: object) -> list[Client]:
    """Return the Clients among its attributes."""
    return [value for value in _attributes(implementation) if isinstance(value, Client)]


@asynccontextmanager
async def living(implementation: Any, *, signals: Signals | None = None) -> AsyncGenerator[Any]:
    """Give it once it is entered, if it is an async context manager, and once its clients are
    open. Only what was opened here is closed at the end."""
    async with AsyncExitStack() as stack:
        if hasattr(implementation, "__aenter__"):
            implementation = await stack.enter_async_context(implementation)
        for client in clients_of(implementation):
            if not client.is_open:
                await client.open(signals=signals)
                stack.push_async_callback(client.aclose)
        yield implementation


def _attributes(implementation: object) -> Iterator[object]:
    yield from getattr(implementation, "__dict__", {}).values()
    for kind in type(implementation).__mro__:
        slots: Any = vars(kind).get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            yield getattr(implementation, name, None)
