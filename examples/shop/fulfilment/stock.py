"""What is on the shelves."""

from orders.events import Release, Reserve
from orders.log import orders
from orders.purchase import Purchase

from isthmus import Transaction

__all__ = ["OutOfStockError", "reserve", "unreserve"]


class OutOfStockError(Exception):
    """There is none left."""


async def reserve(purchase: Purchase, tx: Transaction) -> None:
    """Put a piece aside."""
    taken = await tx.fetch(
        "update stock set left_over = left_over - 1 where sku = :sku and left_over > 0"
        " returning left_over",
        sku=purchase.sku,
    )
    if not taken:
        raise OutOfStockError(f"there is no {purchase.sku} left")
    await _moved(purchase, -1, tx)
    await orders.handle(purchase.id, Reserve())


async def unreserve(purchase: Purchase, tx: Transaction) -> None:
    """Put it back, if it was put aside."""
    if (await orders.handle(purchase.id, Release())).events:
        await tx.execute(
            "update stock set left_over = left_over + 1 where sku = :sku", sku=purchase.sku
        )
        await _moved(purchase, 1, tx)


async def _moved(purchase: Purchase, pieces: int, tx: Transaction) -> None:
    await tx.execute(
        "insert into movements values (:id, :sku, :pieces)",
        id=purchase.id,
        sku=purchase.sku,
        pieces=pieces,
    )
