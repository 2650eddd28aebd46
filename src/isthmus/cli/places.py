"""The queues and subscriptions that an engine knows, by their addresses."""

from collections.abc import Sequence

from isthmus.cli.commands import known
from isthmus.errors import NotFoundError
from isthmus.handling.consuming.subscription import DEAD, Subscription
from isthmus.handling.host import Host

__all__ = ["dead_of", "place_of", "places"]

INTERNAL = "isthmus."
"""How the topics begin that isthmus keeps for itself."""


async def places(host: Host, *, internal: bool = False) -> Sequence[Subscription]:
    """Return what people declared, in order of address; isthmus' own too if `internal`."""
    found = [Subscription(topic=topic, name=name) for topic, name in await _pairs(host)]
    wanted = [place for place in found if internal or not _is_internal(place)]
    return sorted(wanted, key=lambda place: place.address)


async def place_of(host: Host, address: str) -> Subscription:
    """Return what is called `address`, as "orders" or "order-accepted/mail".

    Raises:
        NotFoundError: Nothing is; the message says what there is.
    """
    every = await places(host, internal=True)
    for place in every:
        if place.address == address:
            return place
    names = [place.address for place in every if not _is_internal(place)]
    raise NotFoundError(
        f"no queue or subscription is called {address!r}; "
        f"{known(address, names, what='queues or subscriptions')}"
    )


async def dead_of(host: Host, place: Subscription) -> int:
    """Return how many dead letters `place` has."""
    if (place.dead, DEAD) not in await host.letters.subscriptions():
        return 0
    stats = await host.letters.stats(place.dead, DEAD)
    return stats.ready + stats.leased + stats.delayed


async def _pairs(host: Host) -> Sequence[tuple[str, str]]:
    return await host.queue.subscriptions()


def _is_internal(place: Subscription) -> bool:
    """Whether it is one of isthmus' own, dead letters, or what a stream's group has parked."""
    dead = place.name == DEAD and place.topic.endswith(f".{DEAD}")
    parked = place.topic == place.name and "/" in place.topic
    return dead or parked or place.topic.startswith(INTERNAL)
