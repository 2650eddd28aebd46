"""What is used of asyncpg, which tells no types: the one place that imports it."""

from collections.abc import Awaitable, Callable
from typing import Any, cast

import asyncpg  # pyright: ignore[reportMissingTypeStubs]
from asyncpg.pool import (  # pyright: ignore[reportMissingTypeStubs]
    PoolConnectionProxy,  # pyright: ignore[reportUnknownVariableType]
)

__all__ = [
    "CONNECTIONS",
    "DRIVER_ERRORS",
    "BrokenError",
    "ServerError",
    "StalePlanError",
    "connect",
    "create_pool",
]

_asyncpg: Any = asyncpg

connect = cast("Callable[..., Awaitable[Any]]", _asyncpg.connect)
create_pool = cast("Callable[..., Awaitable[Any]]", _asyncpg.create_pool)

CONNECTIONS = cast("tuple[type[Any], ...]", (_asyncpg.Connection, PoolConnectionProxy))

ServerError = cast("type[Exception]", _asyncpg.PostgresError)
"""The server refused something, and an open transaction with it."""
StalePlanError = cast("type[Exception]", _asyncpg.InvalidCachedStatementError)
"""A table has changed since the statement was prepared."""
BrokenError = cast("type[Exception]", _asyncpg.InternalClientError)
"""The connection was used while its end was being noticed."""
DRIVER_ERRORS = (ServerError, cast("type[Exception]", _asyncpg.InterfaceError), BrokenError)
