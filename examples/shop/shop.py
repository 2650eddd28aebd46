"""A small shop: orders come in over HTTP and go from service to service.

    HTTP ─► queue "orders" ─► accept ─► topic "order-accepted" ─┬─► billing ─► stream "ledger"
                                                                ├─► mailing        │
                                                                └─► analytics      └─► balances

Every handler is a transaction: its rows, what it sends on, and the
acknowledgement of what it received commit together, or not at all.
"""

import os
from collections.abc import AsyncIterator, Sequence
from typing import Annotated

import aiohttp
import msgspec

from isthmus import App, Record, Retry, Transaction, schema

PAYMENTS = os.environ.get("SHOP_PAYMENTS", "http://127.0.0.1:8601")
MAIL = os.environ.get("SHOP_MAIL", "http://127.0.0.1:8602")

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


orders = app.queue("orders", Order)
accepted = app.topic("order-accepted", Order)
ledger = app.stream("ledger", Entry, key=lambda entry: entry.account, partitions=8)

quick = Retry(attempts=3, delay=0.2, cap=2)
patient = Retry(attempts=8, delay=0.2, cap=5)


@app.resource
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    """One HTTP client for all handlers of a process."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session:
        yield session


@app.post("/v1/orders", status=202)
async def take(order: Order) -> Ticket:
    """Answer once the order is safe; the same id twice is one order."""
    await orders.send(order, id=order.id)
    return Ticket(order.id)


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


@accepted.subscription("billing", concurrency=32, retry=patient, lease=3)
async def bill(order: Order, tx: Transaction, http: aiohttp.ClientSession) -> None:
    await tell(http, PAYMENTS, order)
    await tx.execute(
        "insert into payments (order_id, amount) values (:id, :total)",
        id=order.id,
        total=order.total,
    )
    await ledger.append(Entry(order.account, order.id, order.total), id=order.id)


@accepted.subscription("mailing", concurrency=32, retry=patient, lease=3)
async def mail(order: Order, tx: Transaction, http: aiohttp.ClientSession) -> None:
    await tell(http, MAIL, order)
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


async def tell(http: aiohttp.ClientSession, url: str, order: Order) -> None:
    """Call a service outside; the key lets it make the effect of two calls one."""
    async with http.post(
        url, json=msgspec.to_builtins(order), headers={"Idempotency-Key": order.id}
    ) as answer:
        answer.raise_for_status()
