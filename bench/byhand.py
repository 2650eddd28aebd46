"""The same work by hand: batched SQLite, by somebody who knows it well.

One connection, one thread, nothing but what the promise needs: many messages to a
commit; a claim that leases a range of them with one row; inbox entries with a
retention; the range deleted by its ids.
"""

import sqlite3
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from bench.order import Order, decode, encode
from bench.peers import Synchronous

__all__ = ["ByHand", "batches"]

T = TypeVar("T")

TABLES = """
CREATE TABLE message (id INTEGER PRIMARY KEY, name TEXT NOT NULL, sent REAL NOT NULL, body BLOB);
CREATE TABLE lease (token INTEGER PRIMARY KEY, first INTEGER, last INTEGER, until REAL);
CREATE TABLE head (id INTEGER NOT NULL);
INSERT INTO head VALUES (0);
CREATE TABLE inbox (name TEXT PRIMARY KEY, until REAL NOT NULL) WITHOUT ROWID;
CREATE INDEX inbox_until ON inbox (until);
"""

WEEK = 7 * 86_400


class ByHand:
    """A queue in one file."""

    def __init__(self, folder: Path, synchronous: Synchronous, *, more: str = "") -> None:
        self.connection = sqlite3.connect(
            folder / "byhand.db", isolation_level=None, cached_statements=512
        )
        self.connection.execute("PRAGMA journal_mode = wal")
        self.connection.execute(f"PRAGMA synchronous = {synchronous}")
        self.connection.executescript(TABLES + more)

    def send(self, orders: Sequence[Order]) -> None:
        """In a commit of its own."""
        now = time.time()
        rows = [(order.id, now, encode(order)) for order in orders]
        with self.connection as db:
            db.execute("BEGIN IMMEDIATE")
            db.executemany("INSERT INTO message (name, sent, body) VALUES (?, ?, ?)", rows)

    def claim(self, most: int) -> Sequence[tuple[int, str, Order]]:
        """Lease the next ones, in a commit; return them with their numbers and names."""
        with self.connection as db:
            db.execute("BEGIN IMMEDIATE")
            rows = db.execute(
                "SELECT id, name, body FROM message WHERE id > (SELECT id FROM head)"
                " ORDER BY id LIMIT ?",
                (most,),
            ).fetchall()
            if rows:
                first, last = rows[0][0], rows[-1][0]
                db.execute("UPDATE head SET id = ?", (last,))
                lease = (first, first, last, time.time() + 30)
                db.execute("INSERT INTO lease VALUES (?, ?, ?, ?)", lease)
        return [(number, name, decode(body)) for number, name, body in rows]

    def settle(self, done: Sequence[tuple[int, str, Order]]) -> None:
        """Note their names in the inbox and delete them; in the caller's transaction."""
        until = time.time() + WEEK
        db, (first, last) = self.connection, (done[0][0], done[-1][0])
        db.executemany("INSERT INTO inbox VALUES (?, ?)", [(name, until) for _, name, _ in done])
        db.execute("DELETE FROM message WHERE id BETWEEN ? AND ?", (first, last))
        db.execute("DELETE FROM lease WHERE last <= ?", (last,))


def batches(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
