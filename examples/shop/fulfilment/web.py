"""Orders taken, and looked at, over HTTP."""

from collections.abc import Sequence
from enum import StrEnum

import msgspec
from orders.events import Annotate
from orders.log import orders
from orders.order import OrderRefusedError
from orders.purchase import Purchase
from orders.views import Card, Line, card_of, found, of_customer

from fulfilment import choreographed
from fulfilment.orchestrated import fulfil
from isthmus import ConfigError, Module, Problem, Transaction
from isthmus.services import Reply
from isthmus.sourcing import Hit, Position

__all__ = ["module"]

module = Module("web")


class Style(StrEnum):
    ORCHESTRATED = "orchestrated"
    CHOREOGRAPHED = "choreographed"


class Note(msgspec.Struct):
    text: str


@module.post("/v1/orders", status=202)
async def take(
    purchase: Purchase, _: Transaction, style: Style = Style.ORCHESTRATED
) -> Reply[None]:
    """Take an order; the same id twice is one."""
    if style is Style.ORCHESTRATED:
        await fulfil.start(purchase, id=purchase.id)
    else:
        await choreographed.place(purchase)
    return Reply(None, status=202, location=f"/v1/orders/{purchase.id}")


@module.put("/v1/orders/{id}/note")
async def annotate(id: str, note: Note) -> Reply[None]:
    """Write something on an order. `after=` the position in the answer, a query shows it."""
    try:
        handled = await orders.handle(id, Annotate(note.text))
    except OrderRefusedError as error:
        raise Problem(404, detail=str(error)) from error
    return Reply(None, headers={"position": str(handled.position)})


@module.get("/v1/orders/{id}")
async def show(id: str, after: str = "") -> Card:
    """Show an order; as it was `after` a position, or later."""
    card = await card_of(id, after=position(after))
    if card is None:
        raise Problem(404, detail=f"there is no order {id}")
    return card


def position(text: str) -> Position | None:
    try:
        return Position.parse(text) if text else None
    except ConfigError as error:
        raise Problem(400, detail=str(error)) from error


@module.get("/v1/orders")
async def look_for(text: str, after: str = "") -> Sequence[Hit]:
    """Find orders by words that begin so, in what was bought, by whom, or a note."""
    return await found(text, after=position(after))


@module.get("/v1/customers/{customer}/orders")
async def orders_of(customer: str) -> Sequence[Line]:
    return await of_customer(customer)
