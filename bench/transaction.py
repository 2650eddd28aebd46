"""A handler that writes a row and sends a message, each once: outbox and inbox."""

import asyncio
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import msgspec

from bench.byhand import ByHand, batches
from bench.contest import Benchmark, Contender, Measures, Results
from bench.figure import Figure, figure
from bench.order import Order, orders
from bench.ours import Durability, app_in, run, running
from bench.peers import Synchronous
from isthmus import Transaction

COUNT, CONCURRENT = 20_000, 64

SOLD = "CREATE TABLE sold (id TEXT PRIMARY KEY, sku TEXT NOT NULL, total INTEGER NOT NULL);"
MAIL = "CREATE TABLE mail (id INTEGER PRIMARY KEY, name TEXT NOT NULL, sent REAL, body BLOB);"


class Mail(msgspec.Struct):
    id: str
    customer: str
    total: int


INSERT = "INSERT INTO sold VALUES (:id, :sku, :total)"


async def _isthmus(folder: Path, *, durability: Durability, deferred: bool) -> Measures:
    (folder / "migrations").mkdir()
    (folder / "migrations" / "0001_sold.sql").write_text(SOLD)
    app, handled, done = app_in(folder, durability), 0, asyncio.Event()
    app.migrations(folder / "migrations")
    queue, mails = app.queue("orders", Order), app.queue("mails", Mail)

    @queue.handler(concurrency=CONCURRENT)
    async def handle(order: Order, tx: Transaction) -> None:
        nonlocal handled
        insert = tx.defer if deferred else tx.execute
        await insert(INSERT, id=order.id, sku=order.sku, total=order.total)
        await mails.send(Mail(order.id, order.customer, order.total))
        handled += 1
        if handled >= COUNT:
            done.set()

    async with app:
        for batch in batches(list(orders(COUNT)), 5000):
            await queue.send_many(batch)
        began = time.perf_counter()
        async with running(app):
            await done.wait()
        ended = time.perf_counter()
        assert (await mails.stats()).ready == COUNT
        assert (await queue.stats()).ready == 0
    return {"handle": COUNT / (ended - began), "runs": handled / COUNT}


def isthmus(durability: Durability, *, deferred: bool = False) -> Contender:
    return lambda folder: run(_isthmus(folder, durability=durability, deferred=deferred))


def by_hand(folder: Path, *, synchronous: Synchronous, apart: bool = True) -> Measures:
    """`apart`: each order is all or nothing, whatever becomes of the others of its commit."""
    queue = ByHand(folder, synchronous, more=SOLD + MAIL)
    for batch in batches(list(orders(COUNT)), 256):
        queue.send(batch)
    began, handled, encode = time.perf_counter(), 0, msgspec.json.encode
    while claimed := queue.claim(CONCURRENT):
        with queue.connection as db:
            db.execute("BEGIN IMMEDIATE")
            for _, _, order in claimed:
                if apart:
                    db.execute("SAVEPOINT handler")
                db.execute(INSERT, {"id": order.id, "sku": order.sku, "total": order.total})
                mail = Mail(order.id, order.customer, order.total)
                db.execute(
                    "INSERT INTO mail (name, sent, body) VALUES (?, ?, ?)",
                    (order.id, time.time(), encode(mail)),
                )
                if apart:
                    db.execute("RELEASE handler")
            queue.settle(claimed)
        handled += len(claimed)
    ended = time.perf_counter()
    assert handled == COUNT
    return {"handle": COUNT / (ended - began)}


def figures(results: Results) -> Sequence[Figure]:
    def ratio(name: str, ours: str, raw: str, target: str | None = None) -> Figure:
        return figure(name, results.ratios(ours, [raw], "handle"), target=target)

    return [
        *(
            figure(f"handler.tx.{name.replace(' ', '.')}", results.of(name, "handle"), "/s")
            for name in BENCHMARK.contenders
        ),
        figure("handler.tx.runs_per_message", results.of("isthmus", "runs")),
        ratio("handler.tx.vs_raw", "isthmus", "by-hand", ">= 0.3"),
        ratio("handler.tx.deferred.vs_raw", "isthmus deferred", "by-hand", ">= 0.3"),
        ratio("handler.tx.vs_raw_without_savepoints", "isthmus", "by-hand joint"),
        ratio("handler.tx.normal.vs_raw", "isthmus normal", "by-hand normal"),
        ratio("handler.tx.normal.deferred.vs_raw", "isthmus normal deferred", "by-hand normal"),
    ]


BENCHMARK = Benchmark(
    name="transaction",
    title=(
        "20,000 orders, each handled with one row by SQL and one message sent, 64 concurrent, "
        "inbox included; by hand 64 to a commit, each order in a savepoint (joint: in none); "
        "durability=full, unless it says normal; deferred: tx.defer instead of tx.execute"
    ),
    contenders={
        "isthmus": isthmus("full"),
        "isthmus deferred": isthmus("full", deferred=True),
        "isthmus normal": isthmus("normal"),
        "isthmus normal deferred": isthmus("normal", deferred=True),
        "by-hand": partial(by_hand, synchronous="FULL"),
        "by-hand joint": partial(by_hand, synchronous="FULL", apart=False),
        "by-hand normal": partial(by_hand, synchronous="NORMAL"),
    },
    figures=figures,
)
