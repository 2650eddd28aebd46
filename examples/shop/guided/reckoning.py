"""All the books, against each other: the log, both styles, the provider's, the shelves, and what
is read."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from orders.order import Order

from guided.guide import Guide
from guided.visitor import Visitor

__all__ = ["reckon"]

MOST = 100_000
SHELVED = 100_000
"""Pieces of each thing, but unicorns, that there were at first."""


@dataclass
class Books:
    """Everything that was kept, by order."""

    asked: dict[str, dict[str, Any]]
    sagas: dict[str, str]
    flows: dict[str, str]
    orders: dict[str, Order] = field(default_factory=dict)
    """What the log makes of them."""
    charged: dict[str, int] = field(default_factory=dict)
    charges: Counter[str] = field(default_factory=Counter[str])
    refunded: dict[str, int] = field(default_factory=dict)
    """All of what was charged, or nothing."""
    refunds: Counter[str] = field(default_factory=Counter[str])
    moved: dict[str, list[int]] = field(default_factory=dict)
    parcels: Counter[str] = field(default_factory=Counter[str])
    left: dict[str, int] = field(default_factory=dict)
    lines: list[tuple[str, ...]] = field(default_factory=list)
    cards: dict[str, tuple[str, int]] = field(default_factory=dict)
    found: set[str] = field(default_factory=set)

    @property
    def shipped(self) -> set[str]:
        return {number for number, order in self.orders.items() if order.state == "shipped"}


async def reckon(guide: Guide, visitor: Visitor) -> bool:
    """Tell each sum, and whether it is as it has to be; return whether all are."""
    guide.stop("The reckoning", "examples/shop/guided/reckoning.py")
    books = await opened(visitor)
    right = True
    for what, told, holds in sums(books):
        guide.check(what, told, holds=holds)
        right &= holds
    return right


def sums(books: Books) -> Iterator[tuple[str, str, bool]]:
    yield from ends(books)
    yield from effects(books)
    yield from read(books)


def ends(books: Books) -> Iterator[tuple[str, str, bool]]:
    asked, shipped = books.asked, books.shipped
    told = f"{len(books.orders)} of {len(asked)}"
    yield "orders taken, and in the log", told, set(books.orders) == set(asked)
    states = Counter(order.state for order in books.orders.values())
    told = f"{states['shipped']} shipped, {states['cancelled']} cancelled"
    yield "orders ended", told, states["shipped"] + states["cancelled"] == len(asked)
    sagas = Counter(books.sagas.values())
    right = all(
        (status == "completed") == (number in shipped) for number, status in books.sagas.items()
    )
    told = f"{sagas['completed']} completed, {sagas['compensated']} compensated"
    yield "sagas", told, right and set(sagas) <= {"completed", "compensated"}
    flows = Counter(books.flows.values())
    right = all(
        number in shipped
        if status == "completed"
        else status == "timed_out" or number not in shipped
        for number, status in books.flows.items()
    )
    told = ", ".join(f"{count} {status}" for status, count in sorted(flows.items()))
    yield "flows", told, right and set(flows) <= {"completed", "failed", "timed_out"}
    impossible = {
        number
        for number, order in asked.items()
        if order["sku"] == "unicorn"
        or order.get("card") == "declined"
        or order.get("to") in {"the moon", "Atlantis"}
    }
    yield "impossible orders", f"{len(impossible)}, none shipped", not impossible & shipped


def effects(books: Books) -> Iterator[tuple[str, str, bool]]:
    shipped = books.shipped
    owed = {number: books.asked[number]["total"] for number in shipped}
    kept = {
        number: cents
        for number, cents in books.charged.items()
        if books.refunded.get(number, 0) != cents
    }
    told = f"{sum(books.charged.values()) / 100:,.2f} charged"
    told += f", {sum(books.refunded.values()) / 100:,.2f} back: what was shipped"
    yield "money, in the provider's books", told, kept == owed
    paid = {number: order.paid for number, order in books.orders.items() if order.paid}
    yield "money, in the log", f"{sum(paid.values()) / 100:,.2f}", paid == owed
    pieces = {number: sum(moves) for number, moves in books.moved.items()}
    right = {number for number, sum_ in pieces.items() if sum_} == shipped
    right &= all(books.moved.get(number, []) == [-1] for number in shipped)
    gone = Counter(books.asked[number]["sku"] for number in shipped)
    right &= all(left == SHELVED - gone[sku] for sku, left in books.left.items() if left)
    yield "stock, on the shelves", f"{gone.total()} pieces gone: what was shipped", right
    lost = len(shipped - set(books.parcels)) + len(set(owed) - set(kept))
    yield "LOST", f"{lost}", lost == 0
    many = [books.charges, books.refunds, books.parcels]
    twice = sum(count > 1 for counter in many for count in counter.values())
    twice += sum(moves.count(-1) > 1 or moves.count(1) > 1 for moves in books.moved.values())
    yield "DONE TWICE", f"{twice}", twice == 0


def read(books: Books) -> Iterator[tuple[str, str, bool]]:
    of_log = sorted(
        (number, order.customer, order.sku, f"{books.asked[number]['total']}", order.state)
        for number, order in books.orders.items()
    )
    yield "table, against the log", f"{len(books.lines)} rows", books.lines == of_log
    cards = {number: (order.state, order.paid) for number, order in books.orders.items()}
    yield "documents, against the log", f"{len(books.cards)} cards", books.cards == cards
    told = f"{len(books.found)} found"
    yield "search index, against the log", told, books.found == set(books.orders)


async def opened(visitor: Visitor) -> Books:
    """Open the books."""
    from fulfilment.app import app
    from orders.log import orders
    from orders.views import carded, cards, listed, worded, words

    for projection in (listed, carded, worded):
        await projection.caught_up(timeout=60)
    asked = {each["id"]: each for style in visitor.asked.values() for each in style}
    books = Books(asked, await sagas(app), await flows(app))
    async for event in orders.read():
        books.orders[event.key] = books.orders.get(event.key, Order()).evolve(event.value)
    outside = await visitor.books()
    books.charged, books.refunded = dict(outside["done"]), dict(outside["back"])
    books.charges = Counter(number for number, _ in outside["done"])
    books.refunds = Counter(number for number, _ in outside["back"])
    async with app.transaction() as tx:
        for number, pieces in await tx.fetch("select order_id, pieces from movements"):
            books.moved.setdefault(number, []).append(pieces)
        books.parcels = Counter(
            number for (number,) in await tx.fetch("select order_id from parcels")
        )
        books.left = dict(map(tuple, await tx.fetch("select sku, left_over from stock")))
        rows = await tx.fetch("select id, customer, sku, total, state from order_lines")
        books.lines = sorted(tuple(map(str, row)) for row in rows)
    page = await cards.scan(limit=MOST)
    books.cards = {number: (card.state, card.paid) for number, card in page}
    for customer in {each["customer"] for each in asked.values()}:
        books.found |= {hit.key for hit in await words.search(customer, limit=MOST)}
    return books


async def sagas(app: Any) -> dict[str, str]:
    statuses = ("running", "compensating", "stuck", "completed", "compensated")
    return {
        each.id: each.status
        for status in statuses
        for each in await app.sagas.list(status=status, limit=MOST)
    }


async def flows(app: Any) -> dict[str, str]:
    statuses = ("early", "running", "compensating", "completed", "failed", "timed_out")
    return {
        each.key: each.status
        for status in statuses
        for each in await app.flows.list(status=status, limit=MOST)
    }
