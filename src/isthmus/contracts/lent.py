"""A connection that may be used in one thread only, lent to an engine in another."""

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

__all__ = ["Lent"]


class Lent(msgspec.Struct, frozen=True, eq=False):
    """What a caller that blocks has `StoreEngine.adopt` take."""

    connection: object
    run: Callable[[Callable[[], Any]], Awaitable[Any]]
    """Calls a function in the connection's thread and returns what it returns.

    Raises ConfigError if that thread does not wait for us just now.
    """
