"""The queue contract: the least an engine must do to carry messages.

A topic feeds named subscriptions. Every subscription gets each message sent
after it was declared; the receivers of one subscription share its messages.
One subscription is a work queue; several are pub/sub.

    send ──► topic ──► subscription ──► receiver ──► settle(Ack)
                            ▲               │
                            └── settle(Nack), or the lease runs out

Delivery is at least once. An engine moves bytes and keeps leases. It does not
encode, back off, trace, expire or dead-letter; the rooms above do, once, for
all: a dead letter is a `send` to another topic and an `Ack`, in this order,
or in one transaction.

The rules of `isthmus.contracts` hold for every method.
"""

from collections.abc import Awaitable, Mapping, Sequence
from typing import Protocol

import msgspec

from isthmus.contracts.store import Durability, Tx
from isthmus.message import Message

__all__ = [
    "Ack",
    "Delivery",
    "Nack",
    "Outcome",
    "QueueCapabilities",
    "QueueEngine",
    "QueueStats",
    "Receiver",
    "Waiting",
]


class QueueCapabilities(msgspec.Struct, frozen=True, kw_only=True):
    """What an engine does beyond the floor; asked before each use."""

    scope: str
    """Transactions of stores with this scope cover this queue; "" if none do."""
    durable: Durability
    ordered: bool
    """`declare(ordered=True)` is honoured."""
    priorities: bool
    """`Message.priority` is honoured by subscriptions that are not ordered."""
    timed: bool
    """A holder that hangs loses its lease; if not, only one that disconnects."""
    counted: bool
    """`lapses` are counted; if not, they are always 0."""
    browsable: bool
    """`browse`, `remove`, `retention` and `max_length` are honoured."""
    max_delay: float
    """Longest `delay` of `send`, in seconds; 0: none at all."""
    max_batch: int
    """Most messages in one `send`, outcomes in one `settle`."""
    max_body: int
    """Largest body, in bytes."""


class Delivery(msgspec.Struct, frozen=True, gc=False):
    """One handing-over of one message to one receiver."""

    message: Message
    receipt: str
    """Opaque; names this delivery to the receiver that handed it out."""
    attempt: int
    """1 for the first; each counted `Nack` and each lapse adds one."""
    lapses: int = 0
    """Deliveries that nobody settled: its holder died, or was too slow."""


class Ack(msgspec.Struct, frozen=True, gc=False):
    """Done: the message leaves the subscription for good."""

    receipt: str


class Nack(msgspec.Struct, frozen=True, gc=False):
    """Not done: the message comes back, with `headers` merged, after `delay`
    or later (engines may round up), never before."""

    receipt: str
    delay: float = 0.0
    headers: Mapping[str, str] = {}
    counted: bool = True
    """False gives back what was never tried: its `attempt` stays."""


Outcome = Ack | Nack


class QueueStats(msgspec.Struct, frozen=True, kw_only=True):
    """How many wait, are held, and wait for a later moment; -1 if unknown."""

    ready: int
    leased: int
    delayed: int
    oldest_at: float = 0.0
    """When the oldest that is ready was sent; 0 if none is, or unknown."""


class Waiting(msgspec.Struct, frozen=True, kw_only=True):
    """One message as it lies in a subscription, seen without taking it."""

    message: Message
    place: str
    """Opaque; the `after` of the next page. Ascends in the order of browsing."""
    sent_at: float
    ready_at: float
    """When it may be, or may have been, handed out; the lease's end if held."""
    attempt: int
    """Of the delivery that holds it, or else of the next: 1 if never tried."""
    leased: bool


class Receiver(Protocol):
    """One taker of one subscription: opened, drained, closed."""

    async def receive(self, limit: int, *, wait: float) -> Sequence[Delivery]:
        """Lease what is ready, at most `limit`, as soon as there is any; none
        once `wait` is over. Never holds more than it was opened for. Higher
        priority first; within one, those sent first, as far as they are ready."""
        ...

    async def extend(self, receipts: Sequence[str]) -> None:
        """Hold the deliveries for one more lease, from now.

        Raises:
            LeaseLostError: `.lost` are stale; the others are extended.
        """

    def settle(self, outcomes: Sequence[Outcome], *, tx: Tx = None) -> Awaitable[None]:
        """End the deliveries. A receipt is stale once it was settled or the
        message was handed to another; it is fenced, and changes nothing.

        Raises:
            LeaseLostError: `.lost` are stale; the others are settled, or,
                with `tx`, the commit raises it and nothing is.
        """
        ...

    async def drain(self) -> None:
        """Take no more: a waiting `receive` returns at once, and what was
        prefetched but not handed out goes back. `extend`, `settle` go on."""

    async def aclose(self) -> None:
        """Free it; what is not settled comes back, by its lease at latest."""


class QueueEngine(Protocol):
    """Carries messages from topics to subscriptions."""

    @property
    def capabilities(self) -> QueueCapabilities: ...

    async def declare(
        self,
        topic: str,
        subscription: str,
        *,
        ordered: bool = False,
        retention: float | None = None,
        max_length: int | None = None,
    ) -> None:
        """Create the subscription, or give it this `retention` (seconds since
        it was sent) and `max_length` (messages), which `maintain` applies. If
        `ordered`, a message waits until those sent before it with its key are
        settled; those without a key wait for nobody. Of two that are sent at
        the same moment either may be first, never both at once.

        Raises:
            ConfigError: It exists with another `ordered`.
        """

    def send(
        self, topic: str, messages: Sequence[Message], *, delay: float = 0.0, tx: Tx = None
    ) -> Awaitable[None]:
        """Store `messages`, in order, for every subscription of `topic`; none
        is handed out before `delay`. No subscription: they are dropped.
        Awaited at once; an `async def` will do, and a future is cheaper.

        Raises:
            ConfigError: A body is larger than `max_body`; none was stored.
            UnavailableError: A leading part may be stored.
        """
        ...

    async def receiver(
        self, topic: str, subscription: str, *, limit: int, lease: float
    ) -> Receiver:
        """Open a taker that holds at most `limit` unsettled deliveries.

        Raises:
            NotFoundError: The subscription was never declared.
        """
        ...

    async def stats(self, topic: str, subscription: str) -> QueueStats:
        """What the subscription holds; may cost a look at all of it.

        Raises:
            NotFoundError: It was never declared.
        """
        ...

    async def subscriptions(self) -> Sequence[tuple[str, str]]:
        """Every declared (topic, subscription), in no order."""
        ...

    async def browse(
        self, topic: str, subscription: str, *, after: str = "", limit: int = 100
    ) -> Sequence[Waiting]:
        """Look at messages, held and delayed ones too, from the one beyond
        `after` on, without taking them. What comes and goes meanwhile may be
        missed; what stays is seen once."""
        ...

    async def remove(
        self, topic: str, subscription: str, ids: Sequence[str], *, tx: Tx = None
    ) -> int:
        """Drop the messages with these ids that are not leased; return how
        many went (with `tx` always 0: the commit knows). Delayed ones are
        found at once; others may cost a look at all that wait."""
        ...

    async def purge(self, topic: str, subscription: str) -> int:
        """Drop every message that is not leased; return how many went."""
        ...

    async def undeclare(self, topic: str, subscription: str) -> None:
        """Forget the subscription and its messages; do nothing if unknown."""

    async def maintain(self) -> int:
        """Drop, oldest first, what `retention` and `max_length` let go and
        nobody holds, a bounded number; return how many went."""
        ...
