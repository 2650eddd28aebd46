"""The moments by which events are expected: delayed messages in the store's scope."""

from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from isthmus.contracts import Receiver, Transaction
from isthmus.errors import UnsupportedError
from isthmus.handling.host import Host
from isthmus.message import Message

__all__ = ["Due", "Timers"]

DUE = "due"


class Due(NamedTuple):
    """What is to have come by now."""

    key: str
    name: str
    at: float


class Timers:
    """The timers of one flow."""

    def __init__(self, host: Host, flow: str) -> None:
        self._host, self._queue = host, host.letters
        self._topic = f"isthmus.flow.{flow}"

    async def open(self, flow: str) -> None:
        """Raises UnsupportedError if the store has no queues that its transactions cover."""
        scope = self._queue.capabilities.scope
        if not scope or scope != self._host.store.capabilities.scope:
            raise UnsupportedError(
                f"flow {flow!r} needs a store with queues of its own, so that what it saw and "
                "what it waits for are one commit: sqlite:// or postgresql://"
            )
        await self._queue.declare(self._topic, DUE)

    async def change(
        self,
        key: str,
        before: Mapping[str, float],
        after: Mapping[str, float],
        *,
        tx: Transaction,
    ) -> None:
        """Take back what is not waited for any more, and begin to wait for what is new."""
        gone = [_id(key, name, at) for name, at in before.items() if after.get(name) != at]
        if gone:
            await self._queue.remove(self._topic, DUE, gone, tx=tx)
        now = self._host.clock.now()
        for name, at in after.items():
            if before.get(name) != at:
                body = msgspec.msgpack.encode((key, name, at))
                message = Message(body=body, id=_id(key, name, at), key=key, time=now)
                delay = max(0.0, at - now)
                await self._queue.send(self._topic, [message], delay=delay, tx=tx)

    async def receiver(self, *, limit: int, lease: float) -> Receiver:
        return await self._queue.receiver(self._topic, DUE, limit=limit, lease=lease)

    @staticmethod
    def read(message: Message) -> Due:
        return Due(*msgspec.msgpack.decode(message.body, type=tuple[str, str, float]))


def _id(key: str, name: str, at: float) -> str:
    return f"{key}/{name}/{at:.6f}"
