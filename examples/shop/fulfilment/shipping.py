"""Parcels."""

from orders.events import Ship
from orders.log import orders
from orders.purchase import Purchase

from isthmus import Transaction

__all__ = ["UnreachableError", "ship"]


class UnreachableError(Exception):
    """No parcel gets there."""


async def ship(purchase: Purchase, tx: Transaction) -> None:
    """Send it off."""
    if purchase.to == "the moon":
        raise UnreachableError(f"no parcel gets to {purchase.to}")
    await orders.handle(purchase.id, Ship())
    await tx.execute("insert into parcels values (:id)", id=purchase.id)
