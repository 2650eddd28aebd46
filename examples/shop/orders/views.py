"""Three read models of one log: a table, documents, and words to be searched. Each is projected
by itself, so that one is built anew while the others stay as they are."""

from collections.abc import Sequence

import msgspec

from isthmus import Transaction
from isthmus.sourcing import Documents, Hit, Recorded, SearchIndex, Table
from orders.events import Annotated, Cancelled, Event, Paid, Placed, Refunded, Reserved, Shipped
from orders.log import module, orders
from orders.order import State

__all__ = ["Card", "Line", "card_of", "carded", "found", "listed", "of_customer", "worded"]


class Line(msgspec.Struct, frozen=True):
    """One order in the list of a customer."""

    id: str
    sku: str
    total: int
    state: State


class Card(msgspec.Struct, frozen=True):
    """All that there is to say of one order."""

    id: str
    customer: str
    sku: str
    total: int
    state: State = "placed"
    paid: int = 0
    """Cents, less what was given back."""
    note: str = ""
    why: str = ""
    """It is cancelled."""
    happened: Sequence[str] = ()


lines = Table(
    "order_lines",
    "id text primary key, customer text not null, sku text not null, total integer not null,"
    " state text not null",
)
cards = Documents("order-cards", Card)
words = SearchIndex("order_words", "sku", "customer", "note")


# --- a table: the orders of each customer -----------------------------------------------------


@module.projection("orders-by-customer", orders, into=[lines], session=3)
async def listed(event: Recorded[Event], tx: Transaction) -> None:
    if isinstance(event.value, Placed):
        placed = msgspec.structs.asdict(event.value)
        await tx.execute(
            f"insert into {lines} values (:id, :customer, :sku, :total, 'placed')",
            id=event.key,
            **placed,
        )
    elif state := leads_to(event.value):
        await tx.execute(
            f"update {lines} set state = :state where id = :id and state <> 'cancelled'",
            id=event.key,
            state=state,
        )


@module.query("orders-of-customer", listed)
async def of_customer(customer: str, tx: Transaction) -> list[Line]:
    rows = await tx.fetch(
        "select id, sku, total, state from order_lines where customer = :customer order by id",
        customer=customer,
    )
    return [Line(*row) for row in rows]


# --- documents: a card for each order ---------------------------------------------------------


@module.projection("order-cards", orders, into=[cards], session=3)
async def carded(event: Recorded[Event]) -> None:
    await cards.change(event.key, lambda card: changed(card, event))


@module.query("order-card", carded)
async def card_of(order: str) -> Card | None:
    return await cards.get(order)


def changed(card: Card | None, event: Recorded[Event]) -> Card:
    """Return the card of an order as it is after an event."""
    happened = type(event.value).__name__.lower()
    if isinstance(event.value, Placed):
        placed = event.value
        return Card(event.key, placed.customer, placed.sku, placed.total, happened=(happened,))
    assert card is not None
    state = "cancelled" if card.state == "cancelled" else leads_to(event.value) or card.state
    card = msgspec.structs.replace(card, state=state, happened=(*card.happened, happened))
    match event.value:
        case Paid(amount):
            return msgspec.structs.replace(card, paid=amount)
        case Refunded():
            return msgspec.structs.replace(card, paid=0)
        case Annotated(note):
            return msgspec.structs.replace(card, note=note)
        case Cancelled(why):
            return msgspec.structs.replace(card, why=why)
        case _:
            return card


# --- words: whatever somebody remembers of an order -------------------------------------------


@module.projection("order-words", orders, into=[words], session=3)
async def worded(event: Recorded[Event]) -> None:
    if isinstance(event.value, Placed | Annotated):
        order = await orders.load(event.key, version=event.version)
        await words.put(event.key, sku=order.sku, customer=order.customer, note=order.note)


@module.query("orders-found", worded)
async def found(text: str) -> Sequence[Hit]:
    return await words.search(text, limit=100)


STATES: dict[type[Event], State] = {
    Reserved: "reserved",
    Paid: "paid",
    Shipped: "shipped",
    Cancelled: "cancelled",
}


def leads_to(event: Event) -> State | None:
    """Return the state that an event leads to, unless the order is cancelled; None if to none."""
    return STATES.get(type(event))
