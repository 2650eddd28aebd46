"""Where a consumer takes from, and how its things in the store are called."""

import msgspec

__all__ = ["DEAD", "Subscription"]

DEAD = "dead"


class Subscription(msgspec.Struct, frozen=True, kw_only=True):
    """One subscription of one topic; for a work queue both have the queue's name."""

    topic: str
    name: str
    ordered: bool = False

    @property
    def address(self) -> str:
        """What people call it: "orders", or "order-accepted/mail"."""
        return self.name if self.topic == self.name else f"{self.topic}/{self.name}"

    @property
    def dead(self) -> str:
        """The topic of its dead letters, read by the one subscription `DEAD`."""
        return f"{self.address}.dead"

    @property
    def inbox(self) -> str:
        """The space of the store where the ids lie that it has handled."""
        return f"inbox/{self.address}"

    @property
    def suspects(self) -> str:
        """The space of the notes about messages whose holders died."""
        return f"suspects/{self.address}"
