"""A handler that writes a row and sends a message, each once: outbox and inbox."""

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from bench.byhand import ByHand, batches
from bench.contest import Benchmark, Measures, Results
from bench.figure import Figure, figure
from bench.order import Order, orders
from bench.ours import app_in, run, running
from bench.peers import Synchronous
from isthmus import Transaction

COUNT, CONCURRENT = 20_000, 64

SOLD = "CREATE TABLE sold (id TEXT PRIMARY KEY, sku TEXT NOT NULL, total INTEGER NOT NULL);"
MAIL = "CREATE TABLE mail (id INTEGER PRIMARY KEY, name TEXT NOT NULL, sent REAL, body BLOB);"


class Mail(msgspec.Struct):
    id: str
    customer: str
    total: int


async def _isthmus(folder: Path) -> Measures:
    (folder / "migrations").mkdir()
    (folder / "migrations" / "0001_sold.sql").write_text(SOLD)
    app, handled, done = app_in(folder, "normal"), 0, asyncio.Event()
    app.migrations(folder / "migrations")
    queue, mails = app.queue("orders", Order), app.queue("mails", Mail)

    @queue.handler(concurrency=CONCURRENT)
    async def handle(order: Order, tx: Transaction) -> None:
        nonlocal handled
        await tx.defer(
            "INSERT INTO sold VALUES (:id, :sku, :total)",
            id=order.id,
            sku=order.sku,
            total=order.total,
        )
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


def by_hand(folder: Path) -> Measures:
    synchronous: Synchronous = "NORMAL"
    queue = ByHand(folder, synchronous, more=SOLD + MAIL)
    for batch in batches(list(orders(COUNT)), 256):
        queue.send(batch)
    began, handled, encode = time.perf_counter(), 0, msgspec.json.encode
    while claimed := queue.claim(CONCURRENT):
        with queue.connection as db:
            db.execute("BEGIN IMMEDIATE")
            for _, _, order in claimed:
                db.execute("SAVEPOINT handler")  # each is all or nothing, whatever others do
                db.execute(
                    "INSERT INTO sold VALUES (:id, :sku, :total)",
                    {"id": order.id, "sku": order.sku, "total": order.total},
                )
                mail = Mail(order.id, order.customer, order.total)
                db.execute(
                    "INSERT INTO mail (name, sent, body) VALUES (?, ?, ?)",
                    (order.id, time.time(), encode(mail)),
                )
                db.execute("RELEASE handler")
            queue.settle(claimed)
        handled += len(claimed)
    ended = time.perf_counter()
    assert handled == COUNT
    return {"handle": COUNT / (ended - began)}


def figures(results: Results) -> Sequence[Figure]:
    return [
        figure("handler.tx.isthmus", results.of("isthmus", "handle"), "/s"),
        figure("handler.tx.by-hand", results.of("by-hand", "handle"), "/s"),
        figure("handler.tx.runs_per_message", results.of("isthmus", "runs")),
        figure(
            "handler.tx.vs_raw", results.ratios("isthmus", ["by-hand"], "handle"), target=">= 0.3"
        ),
    ]


BENCHMARK = Benchmark(
    name="transaction",
    title=(
        "20,000 orders, each handled with one row by SQL and one message sent, 64 concurrent, "
        "inbox included; by hand 64 to a commit, a savepoint for each; durability=normal"
    ),
    contenders={"isthmus": lambda folder: run(_isthmus(folder)), "by-hand": by_hand},
    figures=figures,
)
