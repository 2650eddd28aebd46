"""What a stranger reads in a store: neither our engine nor its processes are asked."""

import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from typing import Any, TypeVar

import psycopg

from isthmus.clock import SystemClock
from isthmus.errors import UnavailableError

__all__ = ["at_last", "is_postgres", "rows", "unless_away"]

T = TypeVar("T")


def is_postgres(url: str) -> bool:
    return url.startswith("postgresql://")


def rows(url: str, sql: str) -> list[tuple[Any, ...]]:
    """Return what a statement finds there, of a driver's own."""
    plain = url.partition("?")[0]
    if is_postgres(url):
        with psycopg.connect(plain) as connection:
            return connection.execute(sql.encode()).fetchall()
    with closing(sqlite3.connect(plain.removeprefix("sqlite:///"))) as connection:
        return connection.execute(sql).fetchall()


async def at_last(call: Callable[[], Awaitable[T]]) -> T:
    """Do it again for as long as the server is away: whoever does so says under which id."""
    while True:
        try:
            return await call()
        except UnavailableError:
            await SystemClock().sleep(0.05)


def unless_away(asked: Callable[[], Awaitable[bool]]) -> Callable[[], Awaitable[bool]]:
    """Have a question be answered with no while the server is away."""

    async def answer() -> bool:
        try:
            return await asked()
        except UnavailableError:
            return False

    return answer
