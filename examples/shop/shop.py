"""A small shop: orders come in over HTTP and go from service to service.

    HTTP ─► queue "orders" ─► accept ─► topic "order-accepted" ─┬─► billing ─► stream "ledger"
                                                                ├─► mailing        │
                                                                └─► analytics      └─► balances

Every handler is a transaction: its rows, what it sends on, and the
acknowledgement of what it received commit together, or not at all. A call to a
service outside carries a key, so that its effect happens once. Who charges the
cards is for the place to say: ISTHMUS_ADAPTER_PAYMENTS=adyenlike.
"""

from collections.abc import Sequence
from typing import Annotated

import msgspec
from payments import Adyenlike, CardDeclinedError, Charge, FakePayments, Payments, Stripelike

from isthmus import App, HttpUrl, Record, Reject, Retry, Transaction, schema
from isthmus.resilience import Bulkhead, CircuitBreaker, Fallback, Policy, Timeout

app = App("shop")
app.migrations("migrations")


class Places(msgspec.Struct, frozen=True):
    """Where the services outside are: SHOP_MAIL, SHOP_COURIER."""

    mail: HttpUrl = HttpUrl("http://127.0.0.1:8602")
    courier: HttpUrl = HttpUrl("http://127.0.0.1:8603")


places = app.settings_of(Places)


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


payments = app.adapter(
    Payments,
    {"stripelike": Stripelike, "adyenlike": Adyenlike, "fake": FakePayments},
    use="stripelike",
    policy=pay,
)
mailing = app.client("mail", places.mail)
courier = app.client("courier", places.courier, policy=Policy())


@app.post("/v1/orders", status=202)
async def take(order: Order) -> Ticket:
    """Answer once the order is safe; the same id twice is one order."""
    await orders.send(order, id=order.id)
    return Ticket(order.id)


@app.get("/v1/orders/{order_id}")
async def page(order_id: str, tx: Transaction) -> Page:
    """Show an order; without the courier's estimate if need be, and then the answer says so."""
    arrives = await arrival(order_id)
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
async def bill(order: Order, tx: Transaction) -> None:
    try:
        await payments.charge(Charge(order.id, order.total), idempotency_key=order.id)
    except CardDeclinedError as declined:
        raise Reject("the card was declined") from declined
    await tx.execute(
        "insert into payments (order_id, amount) values (:id, :total)",
        id=order.id,
        total=order.total,
    )
    await ledger.append(Entry(order.account, order.id, order.total), id=order.id)


@accepted.subscription("mailing", concurrency=32, retry=patient, lease=3)
async def mail(order: Order, tx: Transaction) -> None:
    await mailing.post("/", order, idempotency_key=order.id)
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


@ask
async def arrival(order_id: str) -> str:
    found = await courier.get("/estimates/{order}", path_params={"order": order_id})
    return found.json()["arrives"]
