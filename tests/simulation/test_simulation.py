"""A shop in a world where everything fails that may: nothing lost, nothing done twice.

`make simulate SEEDS=1000` tries more seeds; SEED=7 tries one again.
"""

from typing import NamedTuple

import msgspec
import pytest

from isthmus import App, Batch, Retry, Tick, Transaction
from isthmus.messaging import Queue, Topic
from isthmus.streams import Stream
from isthmus.testing.simulation import World, seeds, simulate


class Order(msgspec.Struct, frozen=True):
    number: int
    account: str


class Shop(NamedTuple):
    orders: Queue[Order]
    accepted: Topic[Order]
    ledger: Stream[Order]


ORDERS = 60
BAD = 13
quick = Retry(attempts=6, delay=0.5, cap=10)


def shop(app: App) -> Shop:
    orders = app.queue("orders", Order, ordered=True)
    accepted = app.topic("accepted", Order)
    ledger = app.stream("ledger", Order, key="account", partitions=3)

    @orders.handler(retry=quick, concurrency=4)
    async def accept(order: Order, tx: Transaction) -> None:
        if order.number == BAD:
            raise ValueError("nobody can accept this")
        await accepted.publish(order)

    @accepted.subscription("book", retry=quick)
    async def book(order: Order, tx: Transaction) -> None:
        await ledger.append(order)

    @accepted.subscription("count", retry=quick, batch=5, linger=0.5)
    async def count(batch: Batch[Order], tx: Transaction) -> None:
        for order in batch:
            if order.number % 17 == 5:
                batch.fail(order, "not in a batch") if len(batch) > 1 else None

    @accepted.subscription("mail", retry=quick)
    async def mail(order: Order) -> None: ...

    @ledger.group("post", retry=quick, session=6, inbox=86_400)
    async def post(order: Order, tx: Transaction) -> None: ...

    @app.schedule("tidy", every=20, catch_up="all", retry=quick)
    async def tidy(tick: Tick, tx: Transaction) -> None:
        await orders.send(Order(1000 + round(tick.due_at), "house"))

    return Shop(orders, accepted, ledger)


async def customers(shop: Shop, world: World) -> None:
    """Send orders, some of them again under their ids, and some lines into the ledger."""
    for number in range(ORDERS):
        order = Order(number, f"account-{number % 4}")
        for _ in range(1 + (world.random.random() < 0.1)):
            await world.insist(
                lambda order=order: shop.orders.send(
                    order, id=f"order-{order.number}", key=order.account
                )
            )
        if number % 10 == 0:
            await world.insist(
                lambda order=order: shop.ledger.append(order, id=f"line-{order.number}")
            )
        await world.sleep(world.random.expovariate(1.0))


@pytest.mark.parametrize("apart", [False, True], ids=["one database", "two databases"])
@pytest.mark.parametrize("seed", seeds(10))
async def test_the_shop_holds_whatever_happens(seed: int, apart: bool) -> None:
    simulation = await simulate(shop, customers, seed=seed, apart=apart)
    assert simulation.holds, simulation
    assert f"order-{BAD}" in simulation.dead["orders"]
    assert simulation.handled["orders"] >= ORDERS - len(simulation.dead["orders"])
