"""Where a group's things lie: its parked records, and its entries in the store."""

from isthmus.handling.consuming.subscription import Subscription

__all__ = ["Place", "place"]


class Place(Subscription, frozen=True, kw_only=True):
    """A group, seen as the subscription that its parked records wait in."""

    stream: str
    group: str

    @property
    def address(self) -> str:
        """What people call it: "ledger/balances"."""
        return f"{self.stream}/{self.group}"

    @property
    def done(self) -> str:
        """The space of the places that are done, though the position has not passed them."""
        return f"done/{self.address}"

    @property
    def marks(self) -> str:
        """The space of the keys that are parked."""
        return f"parked/{self.address}"

    @property
    def holders(self) -> str:
        """The space of the notes about who holds a partition, and what it tries alone."""
        return f"holders/{self.address}"


def place(stream: str, group: str) -> Place:
    """Return the place of one group."""
    parked = f"{stream}/{group}.parked"
    return Place(topic=parked, name=parked, ordered=True, stream=stream, group=group)
