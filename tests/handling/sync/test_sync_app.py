"""The sync face of an App: from any thread, in one loop, in one transaction, or not at all."""

import asyncio
import contextvars
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import pytest
import sqlalchemy
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

from isthmus import App, ConfigError, NotFoundError, SchemaError, TimedOutError, UnsupportedError
from isthmus.deadline import deadline, remaining
from isthmus.handling.carried import carried, trace
from isthmus.messaging import Queue
from isthmus.streams import Stream


class Order(msgspec.Struct):
    id: str


class Shop:
    def __init__(self, file: Path) -> None:
        self.file = file
        self.app = App("shop", engine=f"sqlite:///{file}?durability=normal")
        self.orders: Queue[Order] = self.app.queue("orders", Order)
        self.ledger: Stream[Order] = self.app.stream("ledger", Order, partitions=1)

    def ids(self) -> list[str]:
        found = self.app.sync().call(self.orders.browse)
        return [msgspec.json.decode(each.message.body, type=Order).id for each in found]

    def rows(self) -> list[str]:
        connection = sqlite3.connect(self.file)
        rows = [row[0] for row in connection.execute("select id from effects order by id")]
        connection.close()
        return rows


@pytest.fixture
def shop(tmp_path: Path) -> Generator[Shop]:
    file = tmp_path / "shop.db"
    connection = sqlite3.connect(file)
    connection.execute("create table effects (id)")
    connection.commit()
    connection.close()
    made = Shop(file)
    yield made
    made.app.sync().close()


# --- calling -------------------------------------------------------------------------------------


def test_what_is_sent_is_there(shop: Shop) -> None:
    with shop.app.sync() as sync:
        assert sync.send(shop.orders, Order("1"), id="one") == "one"
        assert len(sync.append(shop.ledger, Order("1"), Order("2"))) == 2
        assert sync.call(shop.orders.send_many, [Order("2"), Order("3")])
        assert shop.ids() == ["1", "2", "3"]
        assert [each.id for each in sync.iterate(shop.ledger.read())] == ["1", "2"]


def test_an_iteration_that_is_left_is_closed(shop: Shop) -> None:
    ended = list[str]()

    async def forever():
        try:
            while True:
                yield 1
        finally:
            ended.append("ended")

    with shop.app.sync() as sync:
        values = sync.iterate(forever())
        assert next(values) == 1
        values.close()  # type: ignore[attr-defined]
    assert ended == ["ended"]


def test_its_first_use_opens_it(shop: Shop) -> None:
    shop.app.sync().send(shop.orders, Order("1"))
    assert shop.ids() == ["1"]


def test_it_is_one_for_the_app(shop: Shop) -> None:
    assert shop.app.sync() is shop.app.sync()


def test_errors_come_through(shop: Shop) -> None:
    with shop.app.sync() as sync:
        with pytest.raises(SchemaError, match="carries Order"):
            sync.send(shop.orders, 7)  # type: ignore[arg-type]
        with pytest.raises(NotFoundError):
            sync.call(shop.orders.dead_letters.show, "nobody")


def test_many_threads_use_it_at_once(shop: Shop) -> None:
    with shop.app.sync() as sync, ThreadPoolExecutor(16) as threads:
        numbers = [str(number) for number in range(400)]
        sent = list(threads.map(lambda n: sync.send(shop.orders, Order(n), id=n), numbers))
        assert sent == numbers
        assert sync.call(shop.orders.stats).ready == 400


def test_many_threads_open_it_once(shop: Shop) -> None:
    opened = list[str]()

    @shop.app.resource
    async def pool() -> list[str]:
        opened.append("opened")
        return opened

    barrier = threading.Barrier(8)

    def use(number: int) -> str:
        barrier.wait(20)
        return shop.app.sync().send(shop.orders, Order(str(number)))

    with ThreadPoolExecutor(8) as threads:
        assert len(set(threads.map(use, range(8)))) == 8
    assert opened == ["opened"]


def test_deadlines_and_traces_go_along(shop: Shop) -> None:
    async def seen() -> tuple[float | None, str]:
        return remaining(), carried().get("traceparent", "")

    with shop.app.sync() as sync:
        token = trace.set({"traceparent": "00-1-2-01"})
        with deadline(60):
            left, found = sync.call(seen)
        trace.reset(token)
    assert left is not None
    assert 0 < left <= 60
    assert found == "00-1-2-01"


def test_a_call_that_would_stop_its_own_loop_is_refused(shop: Shop) -> None:
    sync = shop.app.sync()

    async def inside() -> str:
        return sync.send(shop.orders, Order("1"))

    with sync, pytest.raises(ConfigError, match="use `await`"):
        sync.call(inside)


# --- transactions --------------------------------------------------------------------------------


def test_rows_and_messages_of_a_transaction_commit_together(shop: Shop) -> None:
    with shop.app.sync() as sync:
        with sync.transaction() as tx:
            tx.execute("insert into effects values (:id)", id="1")
            sync.send(shop.orders, Order("1"))
            assert [row.id for row in tx.fetch("select id from effects")] == ["1"]
            assert shop.rows() == []
        assert (shop.rows(), shop.ids()) == (["1"], ["1"])
        with pytest.raises(ValueError, match="no"), sync.transaction() as tx:
            tx.execute("insert into effects values (:id)", id="2")
            sync.send(shop.orders, Order("2"))
            raise ValueError("no")
        assert (shop.rows(), shop.ids()) == (["1"], ["1"])
        sync.send(shop.orders, Order("3"))  # outside again
        assert shop.ids() == ["1", "3"]


def test_a_transaction_is_of_its_thread(shop: Shop) -> None:
    with shop.app.sync() as sync, ThreadPoolExecutor(1) as threads:
        with pytest.raises(ValueError, match="no"), sync.transaction():
            threads.submit(sync.send, shop.orders, Order("other")).result(20)
            sync.send(shop.orders, Order("mine"))
            raise ValueError("no")
        assert shop.ids() == ["other"]


def test_a_connection_of_this_thread_carries_messages(shop: Shop) -> None:
    connection = sqlite3.connect(shop.file)  # one that no other thread may touch
    with shop.app.sync() as sync:
        with sync.join(connection) as tx:
            connection.execute("insert into effects values ('1')")
            sync.send(shop.orders, Order("1"))
            tx.execute("insert into effects values (:id)", id="2")
        assert shop.rows() == []
        connection.commit()
        assert (shop.rows(), shop.ids()) == (["1", "2"], ["1"])
        with sync.join(connection):
            connection.execute("insert into effects values ('3')")
            sync.send(shop.orders, Order("3"))
        connection.rollback()
        assert (shop.rows(), shop.ids()) == (["1", "2"], ["1"])
    connection.close()


def test_a_session_carries_messages(shop: Shop) -> None:
    engine = sqlalchemy.create_engine(f"sqlite:///{shop.file}")
    with shop.app.sync() as sync:
        with Session(engine) as session, session.begin():
            session.execute(sqlalchemy.text("insert into effects values ('1')"))
            with sync.join(session):
                sync.send(shop.orders, Order("1"))
        assert (shop.rows(), shop.ids()) == (["1"], ["1"])
    engine.dispose()


def test_what_is_joined_is_used_in_its_thread_only(shop: Shop) -> None:
    connection = sqlite3.connect(shop.file)
    with shop.app.sync() as sync, ThreadPoolExecutor(1) as threads:
        with sync.join(connection):
            context = contextvars.copy_context()
            elsewhere = threads.submit(context.run, sync.send, shop.orders, Order("1"))
            with pytest.raises(ConfigError, match="another thread"):
                elsewhere.result(20)
        connection.rollback()
    connection.close()


def test_a_transaction_that_has_begun_waits_for_no_opening(shop: Shop) -> None:
    connection = sqlite3.connect(shop.file)
    connection.execute("insert into effects values ('1')")
    with pytest.raises(ConfigError, match="before"), shop.app.sync().join(connection):
        raise AssertionError
    connection.rollback()
    shop.app.sync().open()
    connection.execute("insert into effects values ('2')")
    with shop.app.sync().join(connection):
        shop.app.sync().send(shop.orders, Order("2"))
    connection.commit()
    connection.close()
    assert (shop.rows(), shop.ids()) == (["2"], ["2"])


def test_a_connection_to_another_file_is_refused(shop: Shop, tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "other.db")
    with (
        shop.app.sync() as sync,
        pytest.raises(UnsupportedError, match=r"other\.db"),
        sync.join(connection),
    ):
        sync.send(shop.orders, Order("1"))
    connection.close()


def test_what_must_be_awaited_is_not_joined(shop: Shop) -> None:
    with (
        shop.app.sync() as sync,
        pytest.raises(ConfigError, match="awaited"),
        sync.join(AsyncSession()),
    ):
        sync.send(shop.orders, Order("1"))


# --- in handlers ---------------------------------------------------------------------------------


async def test_in_a_def_handler_it_is_part_of_its_transaction(shop: Shop) -> None:
    app, sync = shop.app, shop.app.sync()
    told, runs = app.queue("told", Order), list[str]()

    @shop.orders.handler()
    def accept(order: Order) -> None:
        runs.append(order.id)
        sync.send(told, order)
        if len(runs) == 1:
            raise ValueError("not yet")

    async with app.test() as t:
        await shop.orders.send(Order("1"))
        await t.advance(600)
        assert runs == ["1", "1"]
        assert t.sent(told) == [Order("1")]


async def test_a_def_handler_may_join_a_connection(shop: Shop) -> None:
    app, sync = shop.app, shop.app.sync()
    told, runs = app.queue("told", Order), list[str]()

    @shop.orders.handler()
    def accept(order: Order) -> None:
        runs.append(order.id)
        connection = sqlite3.connect(shop.file)
        with sync.join(connection):
            connection.execute("insert into effects values (?)", (order.id,))
            sync.send(told, order)
        connection.commit()
        connection.close()
        raise ValueError("after the commit")

    async with app.test(engine=f"sqlite:///{shop.file}") as t:
        await shop.orders.send(Order("1"), id="1")
        await t.advance(600)
        assert t.sent(told) == [Order("1")]
    assert (runs, shop.rows()) == (["1"], ["1"])


async def test_where_the_app_runs_already_its_loop_is_used(shop: Shop) -> None:
    sync = shop.app.sync()
    async with shop.app:
        await asyncio.to_thread(sync.send, shop.orders, Order("1"))
        assert (await shop.orders.stats()).ready == 1
        with pytest.raises(ConfigError, match="use `await`"):
            sync.send(shop.orders, Order("2"))
        await asyncio.to_thread(sync.close)  # not its own: it leaves it alone
        assert (await shop.orders.stats()).ready == 1


# --- life ----------------------------------------------------------------------------------------


def test_closed_twice_is_once_and_it_may_be_opened_again(shop: Shop) -> None:
    sync = shop.app.sync()
    with sync:
        sync.send(shop.orders, Order("1"))
    sync.close()
    with pytest.raises(ConfigError, match="was closed"):
        sync.send(shop.orders, Order("2"))
    with sync:
        assert shop.ids() == ["1"]
    assert not [each for each in threading.enumerate() if each.name == "shop-loop"]


def test_whoever_waits_when_it_is_closed_is_told(shop: Shop) -> None:
    sync, begun = shop.app.sync(), threading.Event()

    async def forever() -> None:
        begun.set()
        await asyncio.Event().wait()

    with ThreadPoolExecutor(1) as threads:
        with sync:
            waiting = threads.submit(sync.call, forever)
            assert begun.wait(20)
        with pytest.raises(TimedOutError, match="closed"):
            waiting.result(20)


def test_an_app_that_cannot_be_opened_says_so_and_leaves_no_thread(tmp_path: Path) -> None:
    app = App("shop", engine="nowhere://")
    with pytest.raises(ConfigError, match="nowhere"):
        app.sync().open()
    assert not [each for each in threading.enumerate() if each.name == "shop-loop"]


CHILD = """
import os, sys, msgspec
from isthmus import App, ConfigError

class Order(msgspec.Struct):
    id: str

app = App("shop", engine="sqlite:///shop.db")
orders = app.queue("orders", Order)
shop = app.sync()
if sys.argv[1] == "open":
    shop.send(orders, Order("parent"))
if os.fork() == 0:
    try:
        shop.send(orders, Order("child"))
    except ConfigError as error:
        print(error, flush=True)
        os._exit(3)
    shop.close()
    os._exit(0)
status = os.waitstatus_to_exitcode(os.wait()[1])
shop.send(orders, Order("parent after"))
print(shop.call(orders.stats).ready)
sys.exit(status)
"""


@pytest.mark.parametrize(
    ("when", "code", "told"), [("closed", 0, "2\n"), ("open", 3, "cannot be shared")]
)
def test_it_is_opened_after_a_fork_and_refused_in_one_of_an_open_one(
    tmp_path: Path, when: str, code: int, told: str
) -> None:
    (tmp_path / "child.py").write_text(CHILD)
    argv = [sys.executable, "child.py", when]
    done = subprocess.run(
        argv, cwd=tmp_path, capture_output=True, text=True, timeout=50, check=False
    )
    assert (done.returncode, done.stderr) == (code, "")
    assert told in done.stdout


EXITS = """
import msgspec
from isthmus import App

class Order(msgspec.Struct):
    id: str

app = App("shop", engine="sqlite:///shop.db")
orders = app.queue("orders", Order)

@app.resource
async def closing() -> "AsyncIterator[list[str]]":
    yield []
    print("closed")
"""


def test_the_end_of_the_process_closes_it(tmp_path: Path) -> None:
    code = EXITS.replace(
        "import msgspec", "import msgspec\nfrom collections.abc import AsyncIterator"
    )
    code += "\napp.sync().send(orders, Order('1'))\n"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert (done.stdout, done.stderr, done.returncode) == ("closed\n", "", 0)


def test_a_coroutine_is_refused_where_its_function_belongs(shop: Shop) -> None:
    made: Any = shop.orders.stats()
    with pytest.raises(ConfigError, match=r"give the function.*: call\(\.\.\.stats\)"):
        shop.app.sync().call(made)
