"""Reading a stream: a group's batch handler, beside a SELECT that decodes."""

import asyncio
import sqlite3
import time
from collections.abc import Sequence
from pathlib import Path

from bench.contest import Benchmark, Measures, Results
from bench.figure import Figure, figure
from bench.order import Order, decode, encode, orders
from bench.ours import app_in, run, running

COUNT, BATCH = 200_000, 500


def isthmus(folder: Path) -> Measures:
    return run(_isthmus(folder))


async def _isthmus(folder: Path) -> Measures:
    app, handled, done = app_in(folder, "normal"), 0, asyncio.Event()
    ledger = app.stream("ledger", Order, key="customer")

    @ledger.group("books", batch=BATCH)
    async def handle(batch: list[Order]) -> None:
        nonlocal handled
        assert all(order.quantity for order in batch)
        handled += len(batch)
        if handled == COUNT:
            done.set()

    async with app:
        began = time.perf_counter()
        await ledger.append_many(orders(COUNT))
        appended = time.perf_counter()
        async with running(app):
            await done.wait()
        ended = time.perf_counter()
        assert sum((await ledger.lag("books")).values()) == 0
    return {"append": COUNT / (appended - began), "read": COUNT / (ended - appended)}


def by_hand(folder: Path) -> Measures:
    db = sqlite3.connect(folder / "byhand.db", isolation_level=None)
    db.execute("PRAGMA journal_mode = wal")
    db.execute("PRAGMA synchronous = NORMAL")
    db.execute("CREATE TABLE record (id INTEGER PRIMARY KEY, key TEXT NOT NULL, body BLOB)")
    began = time.perf_counter()
    rows = ((order.customer, encode(order)) for order in orders(COUNT))
    with db:
        db.execute("BEGIN IMMEDIATE")
        db.executemany("INSERT INTO record (key, body) VALUES (?, ?)", rows)
    appended = time.perf_counter()
    last = handled = 0
    page = "SELECT id, body FROM record WHERE id > ? ORDER BY id LIMIT ?"
    while found := db.execute(page, (last, BATCH)).fetchall():
        batch = [decode(body) for _, body in found]
        assert all(order.quantity for order in batch)
        last, handled = found[-1][0], handled + len(batch)
    ended = time.perf_counter()
    assert handled == COUNT
    return {"append": COUNT / (appended - began), "read": COUNT / (ended - appended)}


def figures(results: Results) -> Sequence[Figure]:
    return [
        figure("stream.append.isthmus", results.of("isthmus", "append"), "/s"),
        figure("stream.read.isthmus", results.of("isthmus", "read"), "/s"),
        figure("stream.read.by-hand", results.of("by-hand", "read"), "/s"),
        figure(
            "stream.read.vs_raw",
            results.ratios("isthmus", ["by-hand"], "read"),
            target=">= 0.3",
        ),
    ]


BENCHMARK = Benchmark(
    name="stream",
    title=(
        "a group with a batch handler (500) reads 200,000 orders from 8 partitions, its positions "
        "committed; by hand a bare SELECT that decodes, and nothing committed; durability=normal"
    ),
    contenders={"isthmus": isthmus, "by-hand": by_hand},
    figures=figures,
)
