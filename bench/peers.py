"""Queues on SQLite that others made, as their docs advise to use them.

Each has one caller, for none can share commits between several, and a file of its
own. litequeue runs with synchronous=NORMAL unless told, the others with SQLite's
default, FULL; what is not an option of theirs is set on their connection.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from bench.contest import Contender, Measures
from bench.order import Order, decode, encode, orders

__all__ = ["PEERS", "Synchronous", "contender", "litequeue"]

Synchronous = Literal["NORMAL", "FULL"]

Peer = tuple[Callable[[Order], object], Callable[[], object]]
"""What sends one order, and what takes one, handles it and acknowledges it."""


def litequeue(folder: Path, synchronous: Synchronous) -> Peer:
    from litequeue import LiteQueue  # pyright: ignore[reportMissingImports]

    queue = LiteQueue(folder / "queue.db")
    queue.conn.execute(f"PRAGMA synchronous = {synchronous}")

    def take() -> None:
        message = queue.pop()
        handle(decode(message.data))
        queue.done(message.message_id)

    return lambda order: queue.put(encode(order).decode()), take


def huey(folder: Path, synchronous: Synchronous) -> Peer:
    from huey import SqliteHuey  # pyright: ignore[reportMissingImports]

    queue = SqliteHuey(filename=str(folder / "queue.db"), results=False)
    storage: Any = queue.storage
    storage.conn.execute(f"PRAGMA synchronous = {synchronous}")
    task = queue.task()(handle)

    def take() -> None:
        queue.execute(queue.dequeue())

    return task, take


def persist_queue(folder: Path, synchronous: Synchronous) -> Peer:
    from persistqueue import SQLiteAckQueue  # pyright: ignore[reportMissingImports]

    queue = SQLiteAckQueue(str(folder), multithreading=True)
    queue._putter.execute(f"PRAGMA synchronous = {synchronous}")

    def take() -> None:
        body = queue.get()
        handle(decode(body))
        queue.ack(body)

    return lambda order: queue.put(encode(order)), take


def handle(order: Order) -> None:
    assert order.quantity


PEERS = {"litequeue": litequeue, "huey": huey, "persist-queue": persist_queue}


def contender(
    peer: Callable[[Path, Synchronous], Peer], *, synchronous: Synchronous, count: int
) -> Contender:
    def run(folder: Path) -> Measures:
        send, take = peer(folder, synchronous)
        began = time.perf_counter()
        for order in orders(count):
            send(order)
        sent = time.perf_counter()
        for _ in range(count):
            take()
        ended = time.perf_counter()
        return {
            "send": count / (sent - began),
            "handle": count / (ended - sent),
            "round": count / (ended - began),
        }

    return run
