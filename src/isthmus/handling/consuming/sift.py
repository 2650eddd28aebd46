"""What is taken is looked at before it is handled.

Messages that were handled before, that are for others, or whose time is over
never reach a handler; suspects reach it alone.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress

from isthmus.contracts import Delivery
from isthmus.deadline import HEADER as DEADLINE
from isthmus.deadline import deadline_in
from isthmus.errors import IsthmusError
from isthmus.handling.consuming.attempts import Attempts
from isthmus.handling.consuming.dead_letters import ONLY
from isthmus.handling.consuming.failing import Failing
from isthmus.handling.consuming.finishing import Finishing
from isthmus.handling.consuming.inbox import Inbox
from isthmus.handling.consuming.subscription import Subscription
from isthmus.handling.consuming.suspects import LAPSES
from isthmus.handling.host import Host
from isthmus.handling.requests import REPLY_TO, Answers
from isthmus.message import Message

__all__ = ["Sift", "is_wanted"]

SOON = 0.2
"""Seconds until a message comes back whose twin is being handled now."""

Where = Mapping[str, str | Collection[str]]


class Sift:
    """The sieve of one consumer; `held` tells what it has in hand."""

    def __init__(
        self,
        host: Host,
        of: Subscription,
        where: Where,
        *,
        inbox: Inbox,
        attempts: Attempts,
        finishing: Finishing,
        failing: Failing,
        held: Callable[[], Iterable[Delivery]],
        batched: bool = False,
    ) -> None:
        """`batched`: whether several are handled by one call, which answers nobody."""
        self._clock, self._name, self._where = host.clock, of.name, where
        self._answers, self._batched = host.kept(Answers), batched
        self._picky = bool(where) or of.topic != of.name
        self._inbox, self._attempts = inbox, attempts
        self._finishing, self._failing = finishing, failing
        self._held = held

    async def sift(
        self, batch: Sequence[Delivery]
    ) -> tuple[Sequence[Delivery], Sequence[Delivery]]:
        """Return (what to handle, what to handle alone) of `batch`.

        Raises:
            UnavailableError: The store is out of reach; all comes back by its lease.
        """
        if not batch:
            return (), ()
        seen = await self._inbox.seen([delivery.message.id for delivery in batch])
        now, wanted, suspects = self._clock.now(), list[Delivery](), list[Delivery]()
        in_hand = {delivery.message.id for delivery in self._held()}
        for delivery in batch:
            message = delivery.message
            if message.id in seen:
                await self._pass_over(delivery, seen[message.id].value)
            elif self._picky and not self._is_for_us(message):
                self._finishing.noted([delivery])
            elif message.expires_at and message.expires_at <= now:
                await self._expire(delivery, now - message.expires_at)
            elif DEADLINE in message.headers and deadline_in(message.headers) <= now:
                await self._expire(delivery, now - deadline_in(message.headers))
            elif self._batched and REPLY_TO in message.headers:
                await self._bury(delivery, "asked for an answer, and a batch gives none")
            elif message.id in in_hand:
                await self._attempts.give_back([delivery], delay=SOON)
            else:
                in_hand.add(message.id)
                (suspects if delivery.lapses >= LAPSES else wanted).append(delivery)
        return wanted, suspects

    def _is_for_us(self, message: Message) -> bool:
        only = message.headers.get(ONLY)
        if only is not None and only != self._name:
            return False
        return is_wanted(message, self._where)

    async def _pass_over(self, delivery: Delivery, kept: bytes) -> None:
        """Let one go that was handled before; a request that was asked again is answered again."""
        if kept and REPLY_TO in delivery.message.headers:
            await self._answers.again(delivery.message, kept)
        self._finishing.duplicate(delivery)

    async def _expire(self, delivery: Delivery, late: float) -> None:
        await self._bury(delivery, f"expired {late:.1f} s before it was taken")

    async def _bury(self, delivery: Delivery, reason: str) -> None:
        with suppress(IsthmusError):  # else it comes back by its lease
            await self._failing.bury(delivery, reason)


def is_wanted(message: Message, where: Where) -> bool:
    """Whether each attribute or header named in `where` has one of the values there."""
    return all(
        _value(message, name) in ((wanted,) if isinstance(wanted, str) else wanted)
        for name, wanted in where.items()
    )


def _value(message: Message, name: str) -> str:
    if name in message.headers:
        return message.headers[name]
    return str(getattr(message, name, ""))
