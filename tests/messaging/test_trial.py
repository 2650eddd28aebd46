"""What `app.test()` promises to those who test their App."""

from pathlib import Path

import msgspec
import pytest

from isthmus import App, Retry, Transaction


class Order(msgspec.Struct):
    id: str


async def test_handlers_with_sql_are_tested_on_a_file_and_virtual_time(tmp_path: Path) -> None:
    app = App("shop")
    orders, accepted = app.queue("orders", Order), app.topic("accepted", Order)

    @orders.handler(retry=Retry(3, delay=60))
    async def accept(order: Order, tx: Transaction) -> None:
        await tx.execute("create table if not exists accepted (id)")
        await tx.execute("insert into accepted values (:id)", id=order.id)
        if order.id == "bad":
            raise ValueError("no")
        await accepted.publish(order)

    async with app.test(engine=f"sqlite:///{tmp_path}/test.db?durability=normal") as t:
        await orders.send(Order("1"))
        await orders.send(Order("bad"))
        await t.settle()
        assert t.sent(accepted) == [Order("1")]
        await t.advance(600)
        assert await orders.dead_letters.count() == 1
        async with app.transaction() as tx:
            assert [row.id for row in await tx.fetch("select id from accepted")] == ["1"]


async def test_a_days_of_a_quiet_app_pass_quickly() -> None:
    app, handled = App("shop"), list[str]()
    orders = app.queue("orders", Order)

    @orders.handler()
    async def accept(order: Order) -> None:
        handled.append(order.id)

    async with app.test() as t:
        await orders.send(Order("later"), delay=6 * 3600)
        await t.advance(6 * 3600 - 1)
        assert handled == []
        await t.advance(2)
    assert handled == ["later"]


@pytest.mark.parametrize("header", [{"retries": 5}, {7: "x"}])
async def test_a_header_that_is_no_text_is_refused_when_it_is_sent(header: dict) -> None:
    app = App("shop")
    orders = app.queue("orders", Order)
    from isthmus import SchemaError

    async with app.test():
        with pytest.raises(SchemaError, match="names and values of headers are str"):
            await orders.send(Order("1"), headers=header)
