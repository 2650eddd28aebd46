"""Debouncing: of a burst with one key, only the last is handled, once it is quiet.

An entry of the store says which message waits for the key; the next one takes its
place in one transaction.
"""

import msgspec

from isthmus.contracts import Put, Transaction
from isthmus.handling.consuming.subscription import Subscription
from isthmus.handling.host import Host
from isthmus.handling.outbox import Sender
from isthmus.handling.unit import current, repeat
from isthmus.message import Message

__all__ = ["Debounce"]


class Debounce:
    """The debounced messages of one queue."""

    def __init__(self, host: Host, of: Subscription) -> None:
        self._store, self._space = host.store, f"debounce/{of.address}"
        self._sender = Sender(host, of.topic)

    async def __call__(self, message: Message, *, delay: float) -> None:
        """Send `message` after `delay`, in the place of the one that waits for its key."""
        unit = current.get()
        if unit is not None:
            return await self._replace(message, delay, unit.begin())
        await repeat(self._store, lambda tx: self._replace(message, delay, tx))

    async def _replace(self, message: Message, delay: float, tx: Transaction) -> None:
        found = (await self._store.get(self._space, [message.key], tx=tx)).get(message.key)
        if found is not None:
            await self._sender.remove([msgspec.msgpack.decode(found.value, type=str)])
        waiting = msgspec.msgpack.encode(message.id)
        version = 0 if found is None else found.version
        await self._store.put(self._space, [Put(message.key, waiting, version, delay)], tx=tx)
        await self._sender.send((message,), delay=delay)
