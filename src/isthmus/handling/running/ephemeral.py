"""Subscriptions that live as long as their owner says so."""

import msgspec

from isthmus.contracts import Put
from isthmus.handling.host import Host

__all__ = ["Ephemeral"]

SPACE, ALIVE = "ephemeral", "ephemeral.alive"
"""What was registered, kept until it is swept; and its owner's sign of life, which expires."""

PAGE = 1000


class Ephemeral:
    """The register of ephemeral subscriptions, one for all processes."""

    def __init__(self, host: Host) -> None:
        self._host, self._store = host, host.store

    async def register(self, topic: str, name: str, *, ttl: float) -> None:
        """Have the subscription swept once `ttl` seconds pass without `renew`.

        Register before declaring it, so that no crash leaves one that nobody knows.
        """
        await self.renew(topic, name, ttl=ttl)
        value = msgspec.msgpack.encode((topic, name))
        await self._store.put(SPACE, [Put(_key(topic, name), value)])

    async def renew(self, topic: str, name: str, *, ttl: float) -> None:
        await self._store.put(ALIVE, [Put(_key(topic, name), b"", ttl=ttl)])

    async def forget(self, topic: str, name: str) -> None:
        """Strike it off: its owner undeclares it."""
        await self._store.put(SPACE, [Put(_key(topic, name), None)])
        await self._store.put(ALIVE, [Put(_key(topic, name), None)])

    async def sweep(self) -> int:
        """Undeclare those whose owners gave no sign of life; return how many."""
        gone, after = 0, ""
        while page := await self._store.scan(SPACE, after=after, limit=PAGE):
            alive = await self._store.get(ALIVE, [key for key, _ in page])
            for key, entry in page:
                if key not in alive:
                    await self._undeclare(*msgspec.msgpack.decode(entry.value, type=_Place))
                    gone += 1
            after = page[-1][0]
        return gone

    async def _undeclare(self, topic: str, name: str) -> None:
        await self._host.queue.undeclare(topic, name)
        await self.forget(topic, name)


_Place = tuple[str, str]


def _key(topic: str, name: str) -> str:
    return f"{topic}/{name}"
