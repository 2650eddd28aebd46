"""Where answers come back: one queue of this process, for as long as its App is open."""

import asyncio
import logging
from contextvars import Context

from isthmus.contracts import Ack, Receiver
from isthmus.errors import FullError, IsthmusError
from isthmus.handling.host import Host
from isthmus.handling.requests import CORRELATION
from isthmus.handling.running.ephemeral import Ephemeral
from isthmus.message import Message, new_id

__all__ = ["MOST", "Replies", "Waiting"]

_log = logging.getLogger("isthmus.requests")

MOST = 10_000
"""Requests of one process that may wait for their answers at once."""
KEPT = 60.0
"""Seconds after which the queue of a process that died is swept away."""
SOON = 1.0
"""Seconds until an engine that is out of reach is tried again."""


class Waiting:
    """One who waits for one answer."""

    def __init__(self) -> None:
        self.came = asyncio.Event()
        self.reply: Message | None = None

    def take(self, reply: Message | None) -> None:
        """Have the answer; None if there can be none any more."""
        if not self.came.is_set():
            self.reply = reply
            self.came.set()


class Replies:
    """The reply queue of one process, opened by its first request.

    It is registered as ephemeral: swept by the housekeeping of any process, once this one
    has given no sign of life for a minute.
    """

    def __init__(self, host: Host) -> None:
        self._host = host
        self.address = f"isthmus.replies.{new_id()}"
        self._waiting: dict[str, Waiting] = {}
        self._opening: asyncio.Future[None] | None = None
        self._tasks: list[asyncio.Task[None]] = []

    async def open(self) -> None:
        """Declare the queue, and listen; once.

        Raises:
            UnavailableError: The engine is out of reach; the next call tries again.
        """
        if self._opening is None or (self._opening.done() and _failed(self._opening)):
            self._opening = asyncio.get_running_loop().create_task(self._open(), context=Context())
        await asyncio.shield(self._opening)

    def expect(self) -> tuple[str, Waiting]:
        """Return what names a new asking, and the one who waits for its answer.

        Raises:
            FullError: As many wait as may; nothing was sent.
        """
        if len(self._waiting) >= MOST:
            raise FullError(
                f"{MOST} requests of this process wait for their answers, as many as may; "
                "ask later, or bound them with a Bulkhead"
            )
        correlation, waiting = new_id(), Waiting()
        self._waiting[correlation] = waiting
        return correlation, waiting

    def forget(self, correlation: str) -> None:
        """Nobody waits for this answer any more; if it comes, it is dropped."""
        self._waiting.pop(correlation, None)

    @property
    def waiting(self) -> int:
        """How many wait."""
        return len(self._waiting)

    async def aclose(self) -> None:
        """Tell all who wait that no answer will come; forget the queue."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for waiting in self._waiting.values():
            waiting.take(None)
        try:
            await self._host.queue.undeclare(self.address, self.address)
            await Ephemeral(self._host).forget(self.address, self.address)
        except IsthmusError as error:
            _log.debug("the reply queue is left to be swept: %s", error)

    async def _open(self) -> None:
        receiver = await self._declared()
        self._host.closing.push_async_callback(self.aclose)
        self._tasks = [
            asyncio.create_task(self._listen(receiver), context=Context()),
            asyncio.create_task(self._live(), context=Context()),
        ]

    async def _declared(self) -> Receiver:
        await Ephemeral(self._host).register(self.address, self.address, ttl=KEPT)
        await self._host.queue.declare(self.address, self.address)
        return await self._host.queue.receiver(self.address, self.address, limit=MOST, lease=KEPT)

    async def _live(self) -> None:
        """Give signs of life, and be there again if we were thought to be dead."""
        while True:
            await self._host.clock.sleep(KEPT / 3)
            try:
                await Ephemeral(self._host).register(self.address, self.address, ttl=KEPT)
                await self._host.queue.declare(self.address, self.address)
            except IsthmusError as error:
                _log.warning("the reply queue gave no sign of life: %s", error)

    async def _listen(self, receiver: Receiver) -> None:
        try:
            while True:
                try:
                    await self._take(receiver)
                except IsthmusError as error:
                    _log.warning("answers cannot be received, trying again: %s", error)
                    await self._host.clock.sleep(SOON)
                    receiver = await self._again(receiver)
        finally:
            await _closed(receiver)

    async def _take(self, receiver: Receiver) -> None:
        batch = await receiver.receive(1000, wait=KEPT)
        for delivery in batch:
            self._arrived(delivery.message)
        if batch:
            await receiver.settle([Ack(delivery.receipt) for delivery in batch])

    async def _again(self, receiver: Receiver) -> Receiver:
        """Return a new receiver, in case the queue was swept while we could not say a word."""
        try:
            new = await self._declared()
        except IsthmusError:
            return receiver
        await _closed(receiver)
        return new

    def _arrived(self, reply: Message) -> None:
        waiting = self._waiting.get(reply.headers.get(CORRELATION, ""))
        if waiting is not None:
            waiting.take(reply)


def _failed(opening: "asyncio.Future[None]") -> bool:
    return opening.cancelled() or opening.exception() is not None


async def _closed(receiver: Receiver) -> None:
    try:
        await receiver.aclose()
    except IsthmusError as error:
        _log.debug("the receiver of answers ends by its lease: %s", error)
