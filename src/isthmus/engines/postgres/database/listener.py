"""The connection that listens, and tells: one for each engine.

Who waits is noted in the database, so that who commits something notifies nobody in vain: a
NOTIFY takes a lock that all of the server's commits share. It is sent apart from the commit,
for all that was committed meanwhile. Whoever waits notes it, looks once more, and only then
waits; whoever commits looks for notes afterwards: one of the two sees the other.
"""

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable, Collection
from contextlib import suppress
from typing import Any

from isthmus.engines.postgres.database.channels import Channels
from isthmus.engines.postgres.database.faults import REFUSALS

__all__ = ["NAME", "TABLES", "Listener"]

_log = logging.getLogger("isthmus.postgres")

NAME = "isthmus"
"""Of the channel that all engines of a database listen on."""

TABLES = """
CREATE UNLOGGED TABLE isthmus.idle ( -- who waits for what
  channel bigint NOT NULL,
  listener text NOT NULL,
  pid int NOT NULL, -- of the connection that listens
  PRIMARY KEY (channel, listener)
);
"""
_NOTE = """
INSERT INTO isthmus.idle (channel, listener, pid)
SELECT number, $2, pg_backend_pid() FROM unnest($1::bigint[]) AS number
ON CONFLICT DO NOTHING
"""
_STRIKE = "DELETE FROM isthmus.idle WHERE listener = $2 AND channel = ANY($1::bigint[])"
_TELL = """
SELECT pg_notify('isthmus', channel::text) FROM
  (SELECT DISTINCT channel FROM isthmus.idle WHERE channel = ANY($1::bigint[]) AND listener <> $2)
  AS idle
"""
_LEAVE = "DELETE FROM isthmus.idle WHERE listener = $1"
_SWEEP = "DELETE FROM isthmus.idle WHERE pid NOT IN (SELECT pid FROM pg_stat_activity)"

HEARTBEAT = 15.0
"""Seconds after which it is seen again whether the connection and the clock are all right."""
FIRST_PAUSE, LAST_PAUSE = 0.05, 5.0
"""Seconds between attempts to connect again."""


class Listener:
    def __init__(
        self,
        connect: Callable[[], Awaitable[Any]],
        channels: Channels,
        *,
        check: Callable[[Any], Awaitable[None]],
        timeout: float,
    ) -> None:
        self._connect, self._channels, self._timeout = connect, channels, timeout
        self._check, self._check_at = check, 0.0
        self._name = secrets.token_hex(8)
        self._noted: set[int] = set()  # that the database has
        self._noting: dict[int, asyncio.Future[bool]] = {}
        self._striking: set[int] = set()
        self._telling: set[int] = set()
        self._work = asyncio.Event()
        self._lost = asyncio.Event()
        self._closing = False
        self._task: asyncio.Task[None] | None = None

    async def open(self) -> None:
        connection = await self._listen()
        self._task = asyncio.create_task(self._run(connection))

    async def _listen(self) -> Any:
        connection = await self._connect()
        self._lost.clear()
        connection.add_termination_listener(self._lose)
        await connection.add_listener(NAME, self._hear)
        await self._look_after(connection)
        return connection

    async def _look_after(self, connection: Any) -> None:
        """Strike off those who died, and see whether the clock is in step."""
        self._check_at = asyncio.get_running_loop().time() + HEARTBEAT
        await connection.execute(_SWEEP)
        await self._check(connection)

    def _lose(self, _: Any) -> None:
        self._lost.set()
        self._work.set()

    def _hear(self, _: Any, __: int, ___: str, payload: str) -> None:
        number = int(payload)
        if not self._channels.fire(number) and number in self._noted:
            self._striking.add(number)  # nobody here waits for it any more
            self._noted.discard(number)
            self._work.set()

    # --- what others ask of it

    def tell(self, channels: Collection[int]) -> None:
        """Wake who waits for these: here at once, elsewhere soon."""
        for number in channels:
            self._channels.fire(number)
        self._telling.update(channels)
        self._work.set()

    async def note(self, number: int) -> bool:
        """Have others tell of this channel; return whether they do from now on: look again."""
        if self._closing or number in self._noted:
            return False
        if number not in self._noting:
            self._noting[number] = asyncio.get_running_loop().create_future()
            self._work.set()
        return await asyncio.shield(self._noting[number])

    # --- its work

    async def _run(self, connection: Any) -> None:
        while not (self._closing and self.idle):
            try:
                await self._serve(connection)
            except REFUSALS as error:
                if self._closing:
                    break
                _log.warning("the connection that listens was lost, and is made again: %s", error)
                connection.terminate()
                connection = await self._again()
                if connection is None:
                    break
        self._let_go()
        if connection is not None:
            await self._leave(connection)

    @property
    def idle(self) -> bool:
        """Whether it has nothing to tell the server."""
        return not (self._telling or self._noting)

    async def _serve(self, connection: Any) -> None:
        """Do what is asked for, until the connection is lost or the engine closes."""
        while not (self._closing and self.idle):
            with suppress(TimeoutError):
                async with asyncio.timeout(HEARTBEAT):
                    await self._work.wait()
            self._work.clear()
            if self._lost.is_set():
                raise OSError("the server closed it")
            async with asyncio.timeout(self._timeout):
                await self._round(connection)

    async def _round(self, connection: Any) -> None:
        striking, self._striking = self._striking, set[int]()
        if striking:
            await connection.execute(_STRIKE, list(striking), self._name)
        noting = list(self._noting)
        if noting:
            await connection.execute(_NOTE, noting, self._name)
            self._noted.update(noting)
        self._let_go(noting, noted=True)
        telling, self._telling = self._telling, set[int]()
        try:
            if telling:
                await connection.execute(_TELL, list(telling), self._name)
        except BaseException:
            self._telling |= telling
            raise
        if asyncio.get_running_loop().time() >= self._check_at:
            await self._look_after(connection)

    def _let_go(self, numbers: Collection[int] | None = None, *, noted: bool = False) -> None:
        for number in list(self._noting) if numbers is None else numbers:
            self._noting.pop(number).set_result(noted)

    async def _again(self) -> Any:
        """Connect anew; what others committed meanwhile is looked for by whoever waits."""
        pause = FIRST_PAUSE
        self._noted.clear()
        while not self._closing:
            with suppress(*REFUSALS):
                async with asyncio.timeout(self._timeout):
                    connection = await self._listen()
                self._channels.fire_all()
                return connection
            self._let_go()
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._wait_for_the_end()
            pause = min(LAST_PAUSE, pause * 2)
        return None

    async def _wait_for_the_end(self) -> None:
        while not self._closing:
            self._work.clear()
            await self._work.wait()
            self._let_go()

    async def _leave(self, connection: Any) -> None:
        with suppress(*REFUSALS):
            async with asyncio.timeout(1.0):
                await connection.execute(_LEAVE, self._name)
                await connection.close()
        connection.terminate()

    async def aclose(self) -> None:
        """Tell what is still to be told, and leave."""
        self._closing = True
        self._work.set()
        if self._task is not None:
            await asyncio.wait((self._task,))
