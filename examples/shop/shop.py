"""A small shop: orders come in over HTTP and go from service to service.

    HTTP ─► queue "orders" ─► accept ─► topic "order-accepted" ─┬─► billing ─► stream "ledger"
                                                                ├─► mailing        │
                                                                └─► analytics      └─► balances

Every handler is a transaction: its rows, what it sends on, and the
acknowledgement of what it received commit together, or not at all. A call to a
service outside carries a key, so that its effect happens once.
"""

import os
from collections.abc import AsyncIterator, Sequence
from typing import Annotated

import aiohttp
import msgspec

from isthmus import App, Record, Retry, Transaction, schema
from isthmus.resilience import Bulkhead, CircuitBreaker, Fallback, Policy, Timeout

PAYMENTS = os.environ.get("SHOP_PAYMENTS", "http://127.0.0.1:8601")
MAIL = os.environ.get("SHOP_MAIL", "http://127.0.0.1:8602")
COURIER = os.environ.get("SHOP_COURIER", "http://127.0.0.1:8603")

app = App("shop")
app.migrations("migrations")


@schema("shop.order", version=1)
class Order(msgspec.Struct, frozen=True):
    """What a customer orders."""

    id: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    account: Annotated[str, msgspec.Meta(min_length=1)]
    sku: Annotated[str, msgspec.Meta(min_length=1)]
    total: Annotated[int, msgspec.Meta(ge=1)]
    """In cents."""


@schema("shop.entry", version=1)
class Entry(msgspec.Struct, frozen=True):
    """One line of an account's ledger."""

    account: str
    order: str
    amount: int


class Ticket(msgspec.Struct):
    """The answer to an order: it is taken, and will be handled."""

    id: str


class Page(msgspec.Struct):
    """What a customer sees of an order."""

    id: str
    paid: bool
    arrives: str


orders = app.queue("orders", Order)
accepted = app.topic("order-accepted", Order)
ledger = app.stream("ledger", Entry, key=lambda entry: entry.account, partitions=8)

quick = Retry(attempts=3, delay=0.2, cap=2)
patient = Retry(attempts=8, delay=0.2, cap=5)
stoic = Retry(attempts=40, delay=0.5, cap=2)
"""Outlives a bad day of the payment service."""

pay = Policy(
    Retry(3, delay=0.1),
    CircuitBreaker(consecutive=5, open_for=2),
    Bulkhead(16),
    Timeout(1),
    name="payments",
)
ask = Policy(
    Fallback("in a few days"),
    CircuitBreaker(consecutive=5, open_for=1),
    Timeout(0.5),
    name="delivery",
)


@app.resource
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    """One HTTP client for all handlers of a process."""
    limit = aiohttp.ClientTimeout(total=5)
    async with aiohttp.ClientSession(timeout=limit, raise_for_status=True) as session:
        yield session


@app.post("/v1/orders", status=202)
async def take(order: Order) -> Ticket:
    """Answer once the order is safe; the same id twice is one order."""
    await orders.send(order, id=order.id)
    return Ticket(order.id)


@app.get("/v1/orders/{order_id}")
async def page(order_id: str, tx: Transaction, http: aiohttp.ClientSession) -> Page:
    """Show an order; without the courier's estimate if need be, and then the answer says so."""
    arrives = await arrival(http, order_id)
    paid = await tx.fetch("select 1 from payments where order_id = :id", id=order_id)
    return Page(order_id, paid=bool(paid), arrives=arrives)


@orders.handler(concurrency=32, retry=quick, lease=3)
async def accept(order: Order, tx: Transaction) -> None:
    if order.sku == "cursed-mirror":
        raise ValueError(f"nobody can sell a {order.sku}")
    await tx.execute(
        "insert into orders (id, account, sku, total) values (:id, :account, :sku, :total)",
        id=order.id,
        account=order.account,
        sku=order.sku,
        total=order.total,
    )
    await accepted.publish(order, id=order.id)


@accepted.subscription("billing", concurrency=16, retry=stoic, lease=3)
async def bill(order: Order, tx: Transaction, http: aiohttp.ClientSession) -> None:
    await charge(http, order, idempotency_key=order.id)
    await tx.execute(
        "insert into payments (order_id, amount) values (:id, :total)",
        id=order.id,
        total=order.total,
    )
    await ledger.append(Entry(order.account, order.id, order.total), id=order.id)


@accepted.subscription("mailing", concurrency=32, retry=patient, lease=3)
async def mail(order: Order, tx: Transaction, http: aiohttp.ClientSession) -> None:
    await tell(http, MAIL, order, key=order.id)
    await tx.execute("insert into mails (order_id) values (:id)", id=order.id)


@accepted.subscription("analytics", batch=100, concurrency=2, linger=0.05, retry=patient, lease=3)
async def count(batch: Sequence[Order], tx: Transaction) -> None:
    await tx.execute_many(
        "insert into sales (sku, orders, total) values (:sku, 1, :total)"
        " on conflict (sku) do update set orders = orders + 1, total = total + excluded.total",
        [{"sku": order.sku, "total": order.total} for order in batch],
    )


@ledger.group("balances", concurrency=32, session=3)
async def post(entry: Entry, tx: Transaction, record: Record) -> None:
    await tx.execute(
        "insert into postings (account, order_id, amount, place_in_log)"
        " values (:account, :order, :amount, :offset)",
        account=entry.account,
        order=entry.order,
        amount=entry.amount,
        offset=record.offset,
    )


@pay
async def charge(http: aiohttp.ClientSession, order: Order, *, idempotency_key: str) -> None:
    await tell(http, PAYMENTS, order, key=idempotency_key)


@ask
async def arrival(http: aiohttp.ClientSession, order_id: str) -> str:
    async with http.get(f"{COURIER}/estimates/{order_id}") as answer:
        return (await answer.json())["arrives"]


async def tell(http: aiohttp.ClientSession, url: str, order: Order, *, key: str) -> None:
    """Call a service outside; the key lets it make the effect of two calls one."""
    content = msgspec.to_builtins(order)
    async with http.post(url, json=content, headers={"Idempotency-Key": key}):
        pass
