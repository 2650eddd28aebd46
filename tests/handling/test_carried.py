"""What follows from one beginning is one correlation, and each message knows its cause."""

from typing import Annotated

import msgspec
import pytest

from isthmus import (
    App,
    Batch,
    ConfigError,
    Depends,
    Message,
    Transaction,
    correlated,
    correlation_id,
    schema,
)


@schema("carried.order", version=1)
class Order(msgspec.Struct, frozen=True):
    id: str


@pytest.fixture
def app() -> App:
    return App("shop")


async def test_a_message_from_nowhere_begins_anew(app: App) -> None:
    orders = app.queue("orders", Order)
    async with app.test() as t:
        sent = await orders.send(Order("1"))
        await t.settle()
        (message,) = t.messages(orders)
    assert message.correlation_id == sent
    assert message.causation_id == ""
    assert message.headers == {}


async def test_a_chain_has_one_correlation_and_each_its_cause(app: App) -> None:
    orders, placed, ledger = (
        app.queue("orders", Order),
        app.topic("placed", Order),
        app.stream("ledger", Order),
    )
    shipped = app.topic("shipped", Order)

    @orders.handler()
    async def accept(order: Order) -> None:
        await placed.publish(order, id="placed-1")

    @placed.subscription("books")
    async def book(order: Order, tx: Transaction) -> None:
        await ledger.append(order, id="entry-1")

    @ledger.group("ship")
    async def ship(order: Order) -> None:
        await shipped.publish(order)

    async with app.test() as t:
        await orders.send(Order("1"), id="order-1")
        await t.settle()
        chain = [*t.messages(placed), *t.messages(shipped)]
        (record,) = [each async for each in ledger.records()]
    assert [each.causation_id for each in chain] == ["order-1", "entry-1"]
    assert {each.correlation_id for each in chain} == {"order-1"}
    assert record.headers == {"correlationid": "order-1", "causationid": "placed-1"}


async def test_the_outbox_carries_them_too(app: App) -> None:
    orders, placed = app.queue("orders", Order), app.topic("placed", Order)

    @orders.handler()
    async def accept(order: Order) -> None:
        await placed.publish(order, delay=5)

    async with app.test() as t:
        await orders.send(Order("1"), id="order-1")
        await t.advance(5)
        (message,) = t.messages(placed)
    assert (message.correlation_id, message.causation_id) == ("order-1", "order-1")


async def test_headers_that_are_given_win(app: App) -> None:
    orders, placed = app.queue("orders", Order), app.topic("placed", Order)

    @orders.handler()
    async def accept(order: Order) -> None:
        await placed.publish(order, headers={"correlationid": "mine", "x": "y"})

    async with app.test() as t:
        await orders.send(Order("1"), id="order-1")
        await t.settle()
        (message,) = t.messages(placed)
    assert message.headers == {"correlationid": "mine", "causationid": "order-1", "x": "y"}


async def test_a_beginning_may_be_named(app: App) -> None:
    orders, placed = app.queue("orders", Order), app.topic("placed", Order)

    @orders.handler()
    async def accept(order: Order) -> None:
        await placed.publish(order)

    async with app.test() as t:
        with correlated("basket-7"):
            sent = await orders.send(Order("1"))
        await t.settle()
        (message,) = t.messages(placed)
    assert correlation_id() == ""
    assert (message.correlation_id, message.causation_id) == ("basket-7", sent)


async def test_a_name_given_in_a_handler_wins_and_the_cause_stays(app: App) -> None:
    orders, placed = app.queue("orders", Order), app.topic("placed", Order)

    @orders.handler()
    async def accept(order: Order) -> None:
        with correlated("apart"):
            await placed.publish(order)
        await placed.publish(order)

    async with app.test() as t:
        await orders.send(Order("1"), id="order-1")
        await t.settle()
        apart, joint = t.messages(placed)
    assert (apart.correlation_id, apart.causation_id) == ("apart", "order-1")
    assert (joint.correlation_id, joint.causation_id) == ("order-1", "order-1")


async def test_a_handler_asks_what_it_belongs_to(app: App) -> None:
    orders = app.queue("orders", Order)
    seen = list[str]()

    @orders.handler()
    async def accept(
        order: Order, message: Message, belongs: Annotated[str, Depends(correlation_id)]
    ) -> None:
        seen.extend((belongs, correlation_id(), message.correlation_id))

    async with app.test() as t:
        await orders.send(Order("1"), id="order-1")
        await t.settle()
    assert seen == ["order-1"] * 3


async def test_a_transaction_of_its_own_in_a_handler_belongs_to_it(app: App) -> None:
    orders, placed = app.queue("orders", Order), app.topic("placed", Order)

    @orders.handler()
    async def accept(order: Order) -> None:
        async with app.transaction():
            await placed.publish(order)

    async with app.test() as t:
        await orders.send(Order("1"), id="order-1")
        await t.settle()
        (message,) = t.messages(placed)
    assert (message.correlation_id, message.causation_id) == ("order-1", "order-1")


@pytest.mark.parametrize(
    ("names", "expected"),
    [(("one", "one"), ("one", "2")), (("one", "two"), None)],
)
async def test_of_a_batch_only_what_belongs_together_is_carried(
    app: App, names: tuple[str, str], expected: tuple[str, str] | None
) -> None:
    orders, placed = app.queue("orders", Order), app.topic("placed", Order)

    @orders.handler(batch=2)
    async def accept(batch: Batch[Order]) -> None:
        await placed.publish(batch[0], id="placed")

    async with app.test() as t:
        async with app.transaction():
            for place, name in enumerate(names, start=1):
                with correlated(name):
                    await orders.send(Order("1"), id=str(place))
        await t.settle()
        (message,) = t.messages(placed)
    assert (message.correlation_id, message.causation_id) == (expected or ("placed", ""))


def test_a_name_is_a_text() -> None:
    with pytest.raises(ConfigError, match="expected a text"), correlated(""):
        pass
