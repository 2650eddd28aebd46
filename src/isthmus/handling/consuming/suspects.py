"""Messages whose holders keep dying are tried alone, so that no innocent is buried.

A crash counts against everything that was in hand. A message with two lapses is
therefore run with nothing beside it, after a note in the store. Found again with
three such notes, it is what kills: it is buried. Three, as what other subscriptions
handle in the same process may kill it at that very moment, once or twice.
"""

from collections.abc import Awaitable, Callable
from contextlib import suppress

from isthmus.contracts import Delivery, Put
from isthmus.errors import IsthmusError, LeaseLostError
from isthmus.handling.consuming.attempts import Attempts
from isthmus.handling.consuming.failing import Failing
from isthmus.handling.consuming.subscription import Subscription
from isthmus.handling.host import Host

__all__ = ["LAPSES", "Suspects"]

LAPSES = 2
"""Of so many holders of a message died, or were too slow, without settling it: it is a suspect."""
NOTES = 3


class Suspects:
    """The suspects of one subscription; call only while nothing else is in hand.

    `handle` has one handled, and returns once it is.
    """

    def __init__(
        self,
        host: Host,
        of: Subscription,
        *,
        handle: Callable[[Delivery], Awaitable[None]],
        attempts: Attempts,
        failing: Failing,
        keep: float,
    ) -> None:
        self._store, self._space, self._keep = host.store, of.suspects, keep
        self._handle, self._attempts, self._failing = handle, attempts, failing

    async def alone(self, delivery: Delivery) -> None:
        """Handle it after a note that it was tried alone, or bury it."""
        key = delivery.message.id
        try:
            noted = (await self._store.get(self._space, [key])).get(key)
            if noted is not None and noted.version >= NOTES:
                return await self._bury(delivery, noted.version)
            await self._store.put(self._space, [Put(key, b"", ttl=self._keep)])
            try:
                await self._handle(delivery)
            finally:  # who gets here has outlived it
                with suppress(IsthmusError):  # which would stand for what ended this
                    await self._store.put(self._space, [Put(key, None)])
        except LeaseLostError:
            pass  # it is another's now
        except IsthmusError:
            await self._attempts.give_back([delivery], delay=1.0)

    async def _bury(self, delivery: Delivery, notes: int) -> None:
        reason = (
            f"killed its process: {delivery.lapses} holders died or hung, "
            f"{notes} of them with nothing else in hand"
        )
        await self._failing.bury(delivery, reason)
        await self._store.put(self._space, [Put(delivery.message.id, None)])
