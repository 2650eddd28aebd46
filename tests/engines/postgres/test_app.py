"""An App runs on PostgreSQL, in this process and in those of `isthmus run`."""

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from isthmus import App, Retry, Transaction
from isthmus.clock import SystemClock
from isthmus.engines.postgres.database.held import TransactionHeld

Rows = Callable[..., Awaitable[list[Any]]]


DEAD = """
SELECT count(*) FROM isthmus.slot JOIN isthmus.subscription USING (sub)
WHERE topic LIKE '%dead%' OR name LIKE '%dead%'
"""


class Order(msgspec.Struct):
    id: str
    total: int


def a_shop(url: str) -> App:
    app = App("shop", engine=url)
    orders = app.queue("orders", Order)
    accepted = app.topic("order-accepted", Order)
    ledger = app.stream("ledger", Order, key="id", partitions=2)

    @orders.handler(retry=Retry(attempts=3, delay=0.01))
    async def accept(order: Order, tx: Transaction) -> None:
        await tx.execute("INSERT INTO taken VALUES (:id, :total)", id=order.id, total=order.total)
        await accepted.publish(order)
        if order.total < 0:
            raise ValueError("no such total")

    @accepted.subscription("books")
    async def book(order: Order) -> None:
        await ledger.append(order)

    @ledger.group("balances")
    async def post(order: Order, tx: Transaction) -> None:
        await tx.execute("INSERT INTO posted VALUES (:id)", id=order.id)

    return app


@pytest.fixture
def tables(rows: Rows) -> Callable[[], Awaitable[None]]:
    async def create() -> None:
        await rows("CREATE TABLE taken (id text PRIMARY KEY, total int NOT NULL)")
        await rows("CREATE TABLE posted (id text PRIMARY KEY)")

    return create


async def until(rows: Rows, sql: str, wanted: Any) -> None:
    async with asyncio.timeout(40):
        while await rows(sql) != [(wanted,)]:
            await SystemClock().sleep(0.02)


async def test_a_message_goes_through_a_queue_a_topic_and_a_stream(
    url: str, rows: Rows, tables: Callable[[], Awaitable[None]]
) -> None:
    await tables()
    running = asyncio.create_task(a_shop(url).run())
    sender = App("shop", engine=url)
    orders = sender.queue("orders", Order)
    async with sender:
        await asyncio.gather(*(orders.send(Order(f"o{n}", n)) for n in range(20)))
        await orders.send(Order("bad", -1))
        await until(rows, "SELECT count(*) FROM posted", 20)
        await until(rows, DEAD, 1)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert await rows("SELECT count(*), count(*) FILTER (WHERE total < 0) FROM taken") == [(20, 0)]


async def test_an_app_hears_what_its_engine_tells(url: str) -> None:
    app = App("shop", engine=url)
    told: asyncio.Future[TransactionHeld] = asyncio.get_running_loop().create_future()
    app.signals.listen(TransactionHeld, told.set_result)
    async with asyncio.timeout(20), app, app.transaction() as tx:
        await tx.fetch("SELECT 1")
        assert (await told).began_with == "SELECT 1"


SHOP = """
    import msgspec
    from isthmus import App, Transaction

    app = App("shop", engine="{url}")

    class Order(msgspec.Struct):
        id: str

    orders = app.queue("orders", Order)
    ledger = app.stream("ledger", Order, key="id")

    @orders.handler()
    async def accept(order: Order, tx: Transaction) -> None:
        await tx.execute("INSERT INTO taken VALUES (:id, 1)", id=order.id)
        await ledger.append(order)

    @ledger.group("balances")
    async def post(order: Order, tx: Transaction) -> None:
        await tx.execute("INSERT INTO posted VALUES (:id)", id=order.id)
"""


class Run:
    """`isthmus run` with two workers."""

    def __init__(self, folder: Path) -> None:
        command = [sys.executable, "-m", "isthmus", "run", "shop:app", "--workers", "2"]
        self._log = (folder / "run.txt").open("wb")
        self.process = subprocess.Popen(
            command, cwd=folder, stdout=self._log, stderr=self._log, env={**os.environ}
        )

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(timeout=30)
        self._log.close()
        return code


@pytest.fixture
def run(tmp_path: Path, url: str) -> Iterator[Callable[[], Run]]:
    (tmp_path / "shop.py").write_text(textwrap.dedent(SHOP).replace("{url}", url))
    begun: list[Run] = []

    def start() -> Run:
        begun.append(Run(tmp_path))
        return begun[-1]

    yield start
    for one in begun:
        if one.process.poll() is None:
            one.process.kill()
            one.process.wait()


async def test_isthmus_run_shares_the_work_among_its_workers(
    url: str, rows: Rows, tables: Callable[[], Awaitable[None]], run: Callable[[], Run]
) -> None:
    await tables()
    running = run()
    sender = App("shop", engine=url)
    orders = sender.queue("orders", Order)
    async with sender:
        await asyncio.gather(*(orders.send(Order(f"o{n}", n)) for n in range(50)))
    await until(rows, "SELECT count(*) FROM posted", 50)
    assert running.stop() == 0
    assert await rows("SELECT count(*) FROM taken") == [(50,)]
    assert await rows("SELECT count(*) FROM isthmus.idle") == [(0,)]


async def test_many_processes_that_migrate_at_once_do_so_once(
    url: str, rows: Rows, tmp_path: Path
) -> None:
    (tmp_path / "001_paid.sql").write_text(
        """
        CREATE TABLE paid (id int PRIMARY KEY, total int NOT NULL);
        CREATE FUNCTION double_of(n int) RETURNS int LANGUAGE plpgsql AS $body$
        BEGIN
          RETURN n * 2;
        END $body$;
        INSERT INTO paid VALUES (1, double_of(4));
        """
    )

    async def open_and_close() -> None:
        app = App("shop", engine=url)
        app.migrations(tmp_path)
        async with app:
            pass

    await asyncio.gather(*(open_and_close() for _ in range(4)))
    assert await rows("SELECT id, total FROM paid") == [(1, 8)]
