"""A durable subscription of a topic, to look at and to mend."""

from typing import Any

from isthmus.contracts import QueueStats
from isthmus.errors import ConfigError
from isthmus.handling.consuming.consumer import Consumer
from isthmus.handling.consuming.dead_letters import DeadLetters
from isthmus.handling.consuming.subscription import Subscription as Place
from isthmus.handling.declarations import Declarations
from isthmus.handling.host import Host
from isthmus.handling.running.controls import pause, paused, resume
from isthmus.messaging.keeping import Keeping
from isthmus.messaging.opened import Opened, open_subscription
from isthmus.schema.wire import Wire

__all__ = ["Subscription"]


class Subscription:
    """One subscription: a queue of its own, with its own dead letters."""

    def __init__(
        self,
        place: Place,
        wire: Wire[Any],
        declared: Declarations,
        consumer: Consumer,
        keeping: Keeping,
    ) -> None:
        self.address = place.address
        self._place, self._wire, self._declared = place, wire, declared
        self._consumer, self._keeping = consumer, keeping
        self._opened: Opened[Any] | None = None
        declared.open_with(self._bind)

    @property
    def dead_letters(self) -> DeadLetters:
        return self._open.dead_letters

    async def stats(self) -> QueueStats:
        """How many are ready, leased, delayed, and how old the oldest is."""
        return await self._open.stats()

    async def pause(self) -> None:
        """Have no process begin a message until `resume`; within about a second."""
        await pause(self._open.host.store, self.address)

    async def resume(self) -> None:
        """Undo `pause`."""
        await resume(self._open.host.store, self.address)

    async def is_paused(self) -> bool:
        return self.address in await paused(self._open.host.store)

    async def _bind(self, host: Host) -> None:
        self._opened = await open_subscription(host, self._place, self._wire, self._keeping)

    @property
    def _open(self) -> Opened[Any]:
        if self._opened is None:
            self._declared.host  # noqa: B018 - raises, saying how to open
            raise ConfigError(f"{self.address!r} was declared after the App opened")
        return self._opened
