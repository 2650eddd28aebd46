"""Connections: one pool for what isthmus does, another for transactions with statements of the
user's, so that neither ever waits for the other."""

import asyncio
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any

from isthmus.engines.postgres.address import Address
from isthmus.engines.postgres.database.driver import connect, create_pool
from isthmus.engines.postgres.database.faults import REFUSALS, told
from isthmus.errors import UnavailableError

__all__ = ["Pools"]

_SETTINGS = {
    "application_name": "isthmus",
    "default_transaction_isolation": "read committed",
    "jit": "off",  # our statements are short
}

_BY_INDEX = {
    "enable_seqscan": "off",
    "enable_bitmapscan": "off",
    "enable_sort": "off",
    "enable_mergejoin": "off",
    "enable_hashjoin": "off",
}
"""Every statement of ours has its index, and its order; tables that were empty when it was planned
may grow: a claim that sorts all that waits costs as much as all that waits."""


class Pools:
    def __init__(self, address: Address) -> None:
        self._address = address
        self._settings = dict(_SETTINGS)
        if "application_name=" in address.dsn:
            del self._settings["application_name"]
        self._ours: Any = None
        self._theirs: Any = None
        self._releasing: set[asyncio.Task[None]] = set()
        self.owed = 0
        """Answers that the server owes."""

    @contextmanager
    def asked(self) -> Generator[None]:
        """Something is asked of the server inside of the block."""
        self.owed += 1
        try:
            yield
        finally:
            self.owed -= 1

    async def connect(self) -> Any:
        """Make a connection that belongs to neither pool."""
        return await connect(
            self._address.dsn, timeout=self._address.connect_timeout, server_settings=self._settings
        )

    async def open(self, *, settings: dict[str, str]) -> None:
        self._settings |= settings
        self._ours = await self._pool(self._address.pool_size, _BY_INDEX, reset=_keep)
        self._theirs = await self._pool(self._address.transactions, {}, reset=None)

    async def _pool(self, most: int, settings: dict[str, str], *, reset: Any) -> Any:
        return await create_pool(
            self._address.dsn,
            min_size=0,
            max_size=most,
            max_inactive_connection_lifetime=60.0,
            timeout=self._address.connect_timeout,
            server_settings=self._settings | settings,
            reset=reset,
        )

    @asynccontextmanager
    async def ours(self) -> AsyncGenerator[Any]:
        """Lend a connection for a call of isthmus' own; the driver's errors leave it as ours.

        Raises: UnavailableError: The database did not answer within `timeout`.
        """
        with told(), self.asked():
            async with asyncio.timeout(self._address.timeout), self._ours.acquire() as connection:
                yield connection

    async def take(self) -> Any:
        """Return a connection for a transaction, once there is one."""
        span = self._address.timeout
        try:
            with self.asked():
                async with asyncio.timeout(span):
                    return await self._theirs.acquire()
        except TimeoutError as error:
            most = self._address.transactions
            raise UnavailableError(
                f"no connection for a transaction within {span:g} s: at most {most} are open at "
                "once; hold them for less long, or raise the URL's ?transactions="
            ) from error

    def give_back(self, connection: Any, *, sound: bool) -> None:
        """Let others have it; nobody waits for its being made as new."""
        if not sound:
            with suppress(*REFUSALS):  # a connection that was lost has left the pool
                connection.terminate()
        task = asyncio.create_task(self._release(connection))
        self._releasing.add(task)
        task.add_done_callback(self._releasing.discard)

    async def _release(self, connection: Any) -> None:
        with suppress(*REFUSALS):
            await self._theirs.release(connection, timeout=self._address.timeout)

    async def aclose(self) -> None:
        """End what runs within `timeout`; a transaction that is open is rolled back."""
        if self._theirs is not None:
            self._theirs.terminate()
        if self._ours is not None:
            with suppress(*REFUSALS):
                async with asyncio.timeout(self._address.timeout):
                    await self._ours.close()
            self._ours.terminate()
        if self._releasing:
            await asyncio.wait(self._releasing)


async def _keep(_: Any) -> None:
    """Reset nothing: what isthmus runs leaves nothing behind in a session."""
