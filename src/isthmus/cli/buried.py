"""Whose dead letters there are: of queues, subscriptions and consumer groups."""

from collections.abc import Mapping

from isthmus.cli.commands import known
from isthmus.errors import NotFoundError
from isthmus.handling.consuming.dead_letters import DeadLetters
from isthmus.handling.consuming.subscription import DEAD, Subscription
from isthmus.handling.host import Host
from isthmus.streams.parked import beside_the_rows
from isthmus.streams.place import place

__all__ = ["buried", "letters_of"]


async def buried(host: Host) -> Mapping[str, DeadLetters]:
    """Return the dead letters of everything that may have some, by its address."""
    found = await host.letters.subscriptions()
    addresses = [topic.removesuffix(f".{DEAD}") for topic, name in found if name == DEAD]
    groups = {
        topic.removesuffix(".parked") for topic, name in found if "/" in topic and topic == name
    }
    return {address: _letters(host, address, address in groups) for address in sorted(addresses)}


async def letters_of(host: Host, address: str) -> DeadLetters:
    """Return the dead letters of one, as "orders", "order-accepted/mail" or "ledger/balances".

    Raises:
        NotFoundError: Nothing is called so; the message says what there is.
    """
    every = await buried(host)
    if address not in every:
        hint = known(address, list(every), what="queues or subscriptions with dead letters")
        raise NotFoundError(f"nothing called {address!r} has dead letters; {hint}")
    return every[address]


def _letters(host: Host, address: str, is_group: bool) -> DeadLetters:  # noqa: FBT001
    above, _, below = address.partition("/")
    if is_group:
        return DeadLetters(beside_the_rows(host), place(above, below))
    return DeadLetters(host, Subscription(topic=above, name=below or above))
