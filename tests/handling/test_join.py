"""A handler that joins the user's own transaction: its effect is once, whatever follows."""

import asyncio
import sqlite3
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest

from isthmus import App, Record, Retry
from isthmus.handling.facts import DuplicateSkipped, HandlerSucceeded, MessageBuried
from isthmus.signals import Signal


class Order(msgspec.Struct):
    id: str


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "shop.db"
    connection = sqlite3.connect(path)
    connection.execute("create table effects (id)")
    connection.commit()
    connection.close()
    return path


@pytest.fixture
def app(file: Path) -> App:
    return App("shop", engine=f"sqlite:///{file}?durability=normal")


@asynccontextmanager
async def running(app: App, until: type[Signal]) -> AsyncGenerator[asyncio.Event]:
    """Run `app`; the event is set by the first signal of the kind."""
    happened = asyncio.Event()
    app.signals.listen(until, lambda _: happened.set())
    run = asyncio.create_task(app.run())
    async with asyncio.timeout(20):
        while app._runtime is None:  # pyright: ignore[reportPrivateUsage]
            await asyncio.sleep(0)  # noqa: TID251 - a turn of the loop, no wait
        await app._runtime.ready.wait()  # pyright: ignore[reportPrivateUsage]
        yield happened
        await app.drain()
        await run


def effects(file: Path) -> list[str]:
    connection = sqlite3.connect(file)
    rows = [row[0] for row in connection.execute("select id from effects order by id")]
    connection.close()
    return rows


def own(file: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(file, isolation_level=None, timeout=10)
    connection.execute("begin immediate")
    return connection


async def test_an_effect_in_a_joined_transaction_is_once_though_the_handler_fails_after_it(
    app: App, file: Path
) -> None:
    orders = app.queue("orders", Order)

    @orders.handler(retry=Retry(5, delay=0.01))
    async def accept(order: Order) -> None:
        connection = own(file)
        try:
            async with app.join(connection):
                connection.execute("insert into effects values (?)", (order.id,))
            connection.execute("commit")
        finally:
            connection.close()
        raise ValueError("after the commit")

    async with running(app, DuplicateSkipped) as skipped:
        await orders.send(Order("1"), id="1")
        await skipped.wait()
        assert await orders.dead_letters.count() == 0
    assert effects(file) == ["1"]


async def test_a_joined_transaction_that_is_rolled_back_is_tried_again(
    app: App, file: Path
) -> None:
    orders, runs = app.queue("orders", Order), list[str]()

    @orders.handler(retry=Retry(5, delay=0.01))
    async def accept(order: Order) -> None:
        runs.append(order.id)
        connection = own(file)
        try:
            async with app.join(connection):
                connection.execute("insert into effects values (?)", (order.id,))
            if len(runs) < 3:
                connection.execute("rollback")
                raise ValueError("rolled back")
            connection.execute("commit")
        finally:
            connection.close()

    async with running(app, HandlerSucceeded) as succeeded:
        await orders.send(Order("1"), id="1")
        await succeeded.wait()
    assert runs == ["1"] * 3
    assert effects(file) == ["1"]


async def test_what_is_published_in_a_joined_transaction_leaves_with_it(
    app: App, file: Path
) -> None:
    orders, accepted = app.queue("orders", Order), app.queue("accepted", Order)

    @orders.handler()
    async def accept(order: Order) -> None:
        connection = own(file)
        async with app.join(connection):
            connection.execute("insert into effects values (?)", (order.id,))
            await accepted.send(order, id=f"accepted-{order.id}")
        connection.execute("commit")
        connection.close()

    async with running(app, HandlerSucceeded) as succeeded:
        await orders.send(Order("1"))
        await succeeded.wait()
        (waiting,) = await accepted.browse()
    assert waiting.message.id == "accepted-1"
    assert effects(file) == ["1"]


async def test_a_record_handled_in_a_joined_transaction_is_handled_once(
    app: App, file: Path
) -> None:
    ledger, runs = app.stream("ledger", Order, key="id", partitions=2), list[int]()

    @ledger.group("books", retry=Retry(5, delay=0.01))
    async def post(order: Order, record: Record) -> None:
        runs.append(record.offset)
        connection = own(file)
        async with app.join(connection):
            connection.execute("insert into effects values (?)", (order.id,))
        connection.execute("commit")
        connection.close()
        raise ValueError("after the commit")

    async with running(app, DuplicateSkipped) as skipped:
        await ledger.append(Order("1"))
        await skipped.wait()
    assert effects(file) == ["1"]
    assert len(runs) == 1


async def test_a_handler_that_returns_without_its_commit_has_failed(app: App, file: Path) -> None:
    orders, ledger = app.queue("orders", Order), app.stream("ledger", Order, partitions=1)

    async def forgetful(order: Order) -> None:
        connection = own(file)
        async with app.join(connection):
            connection.execute("insert into effects values (?)", (order.id,))
        connection.close()

    orders.handler(retry=Retry(2, delay=0.01))(forgetful)
    ledger.group("books", retry=Retry(2, delay=0.01))(forgetful)
    buried: asyncio.Queue[str] = asyncio.Queue()
    app.signals.listen(MessageBuried, lambda signal: buried.put_nowait(signal.address))

    async with running(app, MessageBuried):
        await orders.send(Order("1"))
        await ledger.append(Order("2"))
        assert {await buried.get(), await buried.get()} == {"orders", "ledger/books"}
        (letter,) = await orders.dead_letters.list()
        assert "never committed" in letter.failures[-1].error
    assert effects(file) == []
