"""Processes of one App are killed while they work: on PostgreSQL, too, all is done once."""

import asyncio
import os
import sys
import textwrap
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from isthmus import App
from isthmus.clock import SystemClock
from isthmus.errors import UnavailableError
from isthmus.messaging import Queue
from isthmus.testing.torture import Place, Torture

Rows = Callable[..., Awaitable[list[Any]]]

ORDERS, KILLS = 1_500, 8

SHOP = """
    import msgspec
    from isthmus import App, Transaction

    app = App("shop", engine="{url}")

    class Order(msgspec.Struct):
        id: int

    orders = app.queue("orders", Order)
    parcels = app.queue("parcels", Order, ordered=True)
    ledger = app.stream("ledger", Order, key="id", partitions=3)

    @orders.handler(lease=2, concurrency=16)
    async def accept(order: Order, tx: Transaction) -> None:
        await tx.execute("INSERT INTO accepted VALUES (:id)", id=order.id)
        await parcels.send(order, key=str(order.id % 7))
        await ledger.append(order)

    @parcels.handler(lease=2, concurrency=16)
    async def ship(order: Order, tx: Transaction) -> None:
        await tx.defer("INSERT INTO shipped VALUES (:id)", id=order.id)

    @ledger.group("balances", session=3)
    async def post(order: Order, tx: Transaction) -> None:
        await tx.execute("INSERT INTO posted VALUES (:id)", id=order.id)
"""

TABLES = ("accepted", "shipped", "posted")


CUT = """
SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
WHERE datname = current_database() AND backend_start < now() - interval '3 seconds'
"""
"""All connections, but not those of a process that begins: one that cannot begin ends."""


class Order(msgspec.Struct):
    id: int


async def send(orders: Queue[Order]) -> None:
    """Send all, some of them twice: nobody knows whether what failed was stored."""
    for number in range(ORDERS):
        sent = False
        while not sent:
            try:
                await orders.send(Order(number), id=f"order-{number}")
                sent = True
            except UnavailableError:
                await SystemClock().sleep(0.05)
        await SystemClock().sleep(0.005)


async def cut(rows: Rows, until: asyncio.Future[None]) -> None:
    """Cut all connections, every now and then."""
    while not until.done():
        await SystemClock().sleep(2)
        await rows(CUT)


@pytest.mark.torture
@pytest.mark.timeout(300)
async def test_what_killed_processes_did_is_done_once(url: str, rows: Rows, tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(textwrap.dedent(SHOP).replace("{url}", url))
    for table in TABLES:
        await rows(f"CREATE TABLE {table} (id int)")  # no key: what is done twice is seen

    async def settled() -> bool:
        counts = [(await rows(f"SELECT count(*) FROM {table}"))[0][0] for table in TABLES]
        return min(counts) >= ORDERS

    run = [sys.executable, "-m", "isthmus", "run", "shop:app", "--log-level", "error"]
    worker = Place(name="worker", command=run, count=3, folder=tmp_path, environment=os.environ)
    sender = App("shop", engine=url)
    orders = sender.queue("orders", Order)
    async with sender, Torture(worker, folder=tmp_path, pause=(0.8, 1.6)) as torture:
        sending = asyncio.create_task(send(orders))
        cutting = asyncio.create_task(cut(rows, sending))
        await torture.run(until=settled, kills=KILLS, within=240)
        await asyncio.gather(sending, cutting)
        await torture.end(within=30)
        assert torture.faults == []
    for table in TABLES:
        found = await rows(f"SELECT id FROM {table} ORDER BY id")
        assert found == [(number,) for number in range(ORDERS)], table
    assert await rows("SELECT count(*) FROM isthmus.slot WHERE token IS NOT NULL") == [(0,)]
