"""An order fulfilled by one function, which says what comes next, and what undoes it."""

from functools import partial

from orders.events import Cancel, Place
from orders.log import orders
from orders.purchase import Purchase

from fulfilment import billing, shipping, stock
from fulfilment.billing import CardDeclinedError, Receipt
from fulfilment.patience import patience
from isthmus import Module, Retry, Transaction
from isthmus.sagas import IdempotencyKey, Saga, Unknown

__all__ = ["fulfil", "module"]

module = Module("orchestrated")


@module.saga(
    "fulfil",
    compensate_on=[stock.OutOfStockError, CardDeclinedError, shipping.UnreachableError],
    undo_retry=Retry(patience.undos),
    lease=3,
)
async def fulfil(saga: Saga, purchase: Purchase) -> None:
    await saga.step(create, purchase, undo=partial(cancel, purchase))
    await saga.step(stock.reserve, purchase, undo=partial(stock.unreserve, purchase))
    give_back = partial(refund, purchase)
    receipt = await saga.step(charge, purchase, undo=give_back, policy=billing.stoic)
    await saga.step(billing.book, purchase, receipt)
    await saga.step(shipping.ship, purchase)


async def create(purchase: Purchase, _: Transaction) -> None:
    """A step that takes a Transaction is local: what it does commits with its record."""
    await orders.handle(purchase.id, Place(purchase))


async def cancel(purchase: Purchase, _: Transaction) -> None:
    await orders.handle(purchase.id, Cancel("it could not be fulfilled"))


async def charge(purchase: Purchase, key: IdempotencyKey) -> Receipt:
    """A step at the provider's: made again after a crash, always under the same key."""
    return await billing.charge(purchase, key)


async def refund(purchase: Purchase, charged: Receipt | Unknown, key: IdempotencyKey) -> None:
    """Give back what was paid. Was it, if nobody answered? Asked again under the key that it was
    asked for by, the provider tells what it did, and does it once."""
    try:
        known = isinstance(charged, Receipt)
        receipt = charged if known else await billing.charge(purchase, charged.key)
    except CardDeclinedError:
        return
    await billing.refund(purchase, receipt, key)
