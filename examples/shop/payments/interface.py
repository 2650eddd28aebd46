"""What the shop asks of a payment provider, in the shop's own words."""

from collections.abc import AsyncIterator
from typing import Protocol

import msgspec

__all__ = ["CardDeclinedError", "Charge", "Payments", "Receipt", "UnknownChargeError"]


class Charge(msgspec.Struct, frozen=True):
    """What is to be paid."""

    order: str
    amount: int
    """In cents of a euro."""
    card: str = "visa"
    """What stands for the card; the fake and both providers refuse "declined"."""


class Receipt(msgspec.Struct, frozen=True):
    """What was paid."""

    order: str
    amount: int
    number: str
    """The provider's, to be named when it is given back."""


class CardDeclinedError(Exception):
    """The card can't be charged; another card may."""


class UnknownChargeError(Exception):
    """There is no such charge to give back."""


class Payments(Protocol):
    """Whoever charges cards. The same key twice is one effect."""

    async def charge(self, charge: Charge, *, idempotency_key: str) -> Receipt:
        """Charge a card; raises CardDeclinedError if it can't be."""
        ...

    async def refund(self, receipt: Receipt, *, idempotency_key: str) -> None:
        """Give back what was paid; raises UnknownChargeError if nothing was."""
        ...

    def receipts(self) -> AsyncIterator[Receipt]:
        """Yield all that was paid, in no certain order."""
        ...
