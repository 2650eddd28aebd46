"""What a customer asks for, whichever style fulfils it."""

from typing import Annotated

import msgspec

from isthmus import schema

__all__ = ["Purchase"]

Text = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]


@schema("shop.purchase", version=1)
class Purchase(msgspec.Struct, frozen=True):
    """One order, as the shop's services hand it on."""

    id: Text
    customer: Text
    sku: Text
    total: Annotated[int, msgspec.Meta(ge=1)]
    """In cents."""
    card: Text = "visa"
    """The providers refuse "declined"."""
    to: Text = "Vienna"
    """No parcel gets to "the moon"; whoever asks for "Atlantis" never hears again."""
