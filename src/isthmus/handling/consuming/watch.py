"""The watch over what is in hand: extends its leases, cuts what takes too long.

It looks once a second instead of arming a timer per message, so that a handler's
timeout costs nothing while it is kept.
"""

import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence

from isthmus.contracts import Delivery, Receiver
from isthmus.errors import LeaseLostError, TimedOutError, UnavailableError
from isthmus.handling.consuming.attempts import Attempts
from isthmus.handling.consuming.options import HandlerOptions
from isthmus.handling.consuming.pool import Pool
from isthmus.handling.consuming.subscription import Subscription
from isthmus.handling.facts import HandlerTimedOut
from isthmus.handling.host import Host

__all__ = ["Watch"]

_log = logging.getLogger("isthmus.consumer")

Back = Callable[[Sequence[Delivery]], Awaitable[None]]


class Watch:
    """Over one consumer's deliveries, for as long as it runs."""

    def __init__(
        self,
        host: Host,
        of: Subscription,
        options: HandlerOptions,
        *,
        attempts: Attempts,
        receiver: Receiver,
        pool: Pool[Delivery],
        held: Callable[[], Iterable[Delivery]],
    ) -> None:
        self._host, self._of, self._options = host, of, options
        self._attempts, self._receiver, self._pool, self._held = attempts, receiver, pool, held
        self._since: dict[int, tuple[Sequence[Delivery], float]] = {}

    async def run(self) -> None:
        """Look after them until cancelled."""
        tick = min(1.0, self._options.lease / 4, self._options.timeout / 2)
        extended = self._host.clock.now()
        while True:
            await self._until_something_is_held()
            before = self._host.clock.now()
            await self._host.clock.sleep(tick)
            now = self._host.clock.now()
            self._tell_if_blocked(now - before - tick)
            self._cut_the_late(now)
            if now - extended >= self._options.lease / 3 or now < extended:
                extended = now
                await self._extend()

    async def _until_something_is_held(self) -> None:
        self._pool.offered.clear()
        if not any(True for _ in self._held()):
            await self._pool.offered.wait()

    def _tell_if_blocked(self, late: float) -> None:
        if late > self._options.lease / 2:
            _log.warning(
                "the event loop stood still for %.1f s, and leases of %r with it (%g s): does a "
                "handler block? Write it as def, so that it runs in a thread",
                late,
                self._of.address,
                self._options.lease,
            )

    def _cut_the_late(self, now: float) -> None:
        seen = self._since
        self._since = {}
        for slot in self._pool.slots:
            if holding := slot.holding:
                before, since = seen.get(id(slot), (holding, now))
                since = since if before is holding else now
                self._since[id(slot)] = (holding, since)
                if now - since >= self._options.timeout:
                    slot.cut(self._too_late)

    async def _too_late(self, batch: Sequence[Delivery]) -> None:
        timeout = self._options.timeout
        for delivery in batch:
            self._host.signals.emit(
                HandlerTimedOut(
                    address=self._of.address, message=delivery.message.id, timeout=timeout
                )
            )
            error = TimedOutError(
                f"the handler of {self._of.address!r} did not return in {timeout:g} s; "
                "give it a larger timeout=, or less to do"
            )
            await self._attempts.fail([delivery], error)

    async def _extend(self) -> None:
        if receipts := [delivery.receipt for delivery in self._held()]:
            try:
                await self._receiver.extend(receipts)
            except LeaseLostError as error:
                self._let_go(frozenset(map(str, error.lost)))
            except UnavailableError:
                pass  # the leases stand for two thirds of their span yet

    def _let_go(self, lost: frozenset[str]) -> None:
        """What is another's cannot commit here: do not let it try."""
        self._pool.discard(lambda delivery: delivery.receipt in lost)
        for slot in self._pool.slots:
            if any(delivery.receipt in lost for delivery in slot.holding):
                slot.cut(self._back_without(lost))

    def _back_without(self, lost: frozenset[str]) -> Back:
        async def back(batch: Sequence[Delivery]) -> None:
            if kept := [delivery for delivery in batch if delivery.receipt not in lost]:
                await self._attempts.give_back(kept)

        return back
