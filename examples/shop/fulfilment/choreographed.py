"""An order fulfilled by services that react to each other. None of them is in charge.

    orders ─► placed ─► stock ─► reserved ─► billing ─► charged ─► shipping ─► shipped

Whoever cannot go on says `refused`, and the flow says `abandoned` of an order that gets no
further. Orders alone decides that one is cancelled, and then stock and billing undo their parts.
"""

import msgspec
from orders.events import Cancel, Place
from orders.log import orders
from orders.order import OrderRefusedError
from orders.purchase import Purchase

from fulfilment import billing, shipping, stock
from fulfilment.billing import CardDeclinedError, Receipt
from isthmus import Module, Transaction, schema
from isthmus.sourcing import Handled

__all__ = [
    "Abandoned",
    "Kept",
    "OrderCancelled",
    "Refused",
    "Step",
    "abandoned",
    "cancelled",
    "charged",
    "kept",
    "module",
    "place",
    "placed",
    "refunded",
    "refused",
    "released",
    "reserved",
    "shipped",
]

module = Module("choreographed")


@schema("shop.fulfilment.step", version=1)
class Step(msgspec.Struct, frozen=True):
    """Something is done for an order."""

    purchase: Purchase


@schema("shop.fulfilment.refused", version=1)
class Refused(msgspec.Struct, frozen=True):
    """A service cannot do its part, for good."""

    purchase: Purchase
    why: str


@schema("shop.fulfilment.abandoned", version=1)
class Abandoned(msgspec.Struct, frozen=True):
    """The next event did not come in time."""

    purchase: Purchase
    why: str


@schema("shop.fulfilment.cancelled", version=1)
class OrderCancelled(msgspec.Struct, frozen=True):
    """Whoever did something for the order undoes it."""

    purchase: Purchase
    why: str


@schema("shop.fulfilment.kept", version=1)
class Kept(msgspec.Struct, frozen=True):
    """Nothing is cancelled: it was shipped before."""

    purchase: Purchase


@schema("shop.fulfilment.refunding", version=1)
class Refunding(msgspec.Struct, frozen=True):
    """To be given back."""

    purchase: Purchase
    receipt: Receipt


placed = module.topic("placed", Step)
reserved = module.topic("reserved", Step)
charged = module.topic("charged", Step)
shipped = module.topic("shipped", Step)
refused = module.topic("refused", Refused)
abandoned = module.topic("abandoned", Abandoned)
kept = module.topic("kept", Kept)
cancelled = module.topic("cancelled", OrderCancelled)
released = module.topic("released", Step)
refunded = module.topic("refunded", Step)
refunds = module.queue("refunds", Refunding)


# --- orders -----------------------------------------------------------------------------------


async def place(purchase: Purchase) -> Handled[object]:
    """Take an order; its event leaves with the caller's transaction."""
    handled = await orders.handle(purchase.id, Place(purchase))
    if handled.events:
        await placed.publish(Step(purchase))
    return handled


@refused.subscription("orders", lease=3)
async def turn_down(event: Refused) -> None:
    await cancel(event.purchase, event.why)


@abandoned.subscription("orders", lease=3)
async def give_up(event: Abandoned) -> None:
    await cancel(event.purchase, event.why)


async def cancel(purchase: Purchase, why: str) -> None:
    try:
        handled = await orders.handle(purchase.id, Cancel(why))
    except OrderRefusedError:
        await kept.publish(Kept(purchase))
        return
    if handled.events:
        await cancelled.publish(OrderCancelled(purchase, why))


# --- stock ------------------------------------------------------------------------------------


@placed.subscription("stock", lease=3)
async def set_aside(event: Step, tx: Transaction) -> None:
    try:
        await stock.reserve(event.purchase, tx)
    except stock.OutOfStockError as error:
        await refused.publish(Refused(event.purchase, str(error)))
    else:
        await reserved.publish(event)


@cancelled.subscription("stock", lease=3)
async def put_back(event: OrderCancelled, tx: Transaction) -> None:
    await stock.unreserve(event.purchase, tx)
    await released.publish(Step(event.purchase))


# --- billing ----------------------------------------------------------------------------------


@reserved.subscription("billing", concurrency=16, retry=billing.stoic, lease=3)
async def bill(event: Step) -> None:
    purchase = event.purchase
    try:
        receipt = await billing.charge(purchase, f"{purchase.id}/charge")
    except CardDeclinedError:
        await refused.publish(Refused(purchase, "the card was declined"))
        return
    await billing.book(purchase, receipt)
    if (await orders.load(purchase.id)).state == "cancelled":  # meanwhile
        await refunds.send(Refunding(purchase, receipt))
    else:
        await charged.publish(event)


@cancelled.subscription("billing", lease=3)
async def unbill(event: OrderCancelled) -> None:
    order = await orders.load(event.purchase.id)
    if order.paid:
        receipt = Receipt(event.purchase.id, order.paid, order.receipt)
        await refunds.send(Refunding(event.purchase, receipt))
    else:
        await refunded.publish(Step(event.purchase))


@refunds.handler(retry=billing.stoic, lease=3)
async def give_back(asked: Refunding) -> None:
    await billing.refund(asked.purchase, asked.receipt, f"{asked.purchase.id}/refund")
    await refunded.publish(Step(asked.purchase))


# --- shipping ---------------------------------------------------------------------------------


@charged.subscription("shipping", lease=3)
async def send_off(event: Step, tx: Transaction) -> None:
    if event.purchase.to == "Atlantis":
        return  # a courier took the parcel, and was not heard of again
    try:
        await shipping.ship(event.purchase, tx)
    except shipping.UnreachableError as error:
        await refused.publish(Refused(event.purchase, str(error)))
    except OrderRefusedError:
        return  # it was cancelled meanwhile
    else:
        await shipped.publish(event)
