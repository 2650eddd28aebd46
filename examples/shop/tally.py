"""Counting what came of it: in the database, at the services outside, in the diary."""

import asyncio
import os
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp
from diary import Notes
from processes import Shop
from progress import Progress
from trouble import report

from isthmus import App, Transaction

SUBSCRIPTIONS = ("billing", "mailing", "analytics")
EFFECTS = {"orders": "id", "payments": "order_id", "mails": "order_id", "postings": "order_id"}
"""The tables in which every order has one row, and the column that names the order."""

PATIENCE = 90.0
"""Seconds after which what is not settled will not be."""

DISORDER = """
    select count(*) from (
        select place_in_log < lag(place_in_log) over (partition by account order by place) as wrong
        from postings
    ) where wrong
"""


@dataclass(frozen=True)
class Rows:
    """The rows of a table, and how many different orders they are of."""

    all: int
    different: int


@dataclass(frozen=True)
class Tally:
    """Everything that was counted."""

    effects: Mapping[str, Rows]
    sold: int
    disorder: int
    dead: Counter[str]
    """Dead letters of the orders, by their last error."""
    dead_elsewhere: int
    waiting: int
    outside: Mapping[str, Mapping[str, Any]]
    """What the payment service and the mail service say."""
    payments: Notes
    """What the policy of payments told, in all workers."""
    took: float
    """Seconds from the first request until all was settled."""

    def lost(self, orders: int) -> int:
        """How many effects of `orders` orders are missing."""
        rows = sum(orders - rows.different for rows in self.effects.values())
        outside = self.outside.values()
        return rows + sum(orders - seen["effects"] + seen["twice"] for seen in outside)

    @property
    def twice(self) -> int:
        """How many effects were done more than once."""
        rows = sum(rows.all - rows.different for rows in self.effects.values())
        return rows + sum(seen["twice"] for seen in self.outside.values())


async def tally(shop: Shop, orders: int, began: float) -> Tally:
    """Wait until all is settled, then count."""
    os.environ |= shop.environment
    from shop import accepted, app  # the environment says where it runs
    from shop import orders as queue

    async with app, aiohttp.ClientSession() as http:
        left = await _until_settled(app, orders)
        took = time.monotonic() - began
        letters = await queue.dead_letters.list(limit=1000)
        elsewhere = [await accepted[name].dead_letters.count() for name in SUBSCRIPTIONS]
        async with app.transaction() as tx:
            return Tally(
                effects={name: await _rows(tx, name) for name in EFFECTS},
                sold=await _number(tx, "select coalesce(sum(orders), 0) from sales"),
                disorder=await _number(tx, DISORDER),
                dead=Counter(letter.failures[-1].error for letter in letters),
                dead_elsewhere=sum(elsewhere),
                waiting=left,
                outside={
                    "payment": await report(http, shop.payments),
                    "mail": await report(http, shop.mail),
                },
                payments=shop.diary.read().of("payments"),
                took=took,
            )


async def _until_settled(app: App, orders: int) -> int:
    """Wait until every queue and group has nothing left; return what is left."""
    end = time.monotonic() + PATIENCE
    with Progress("ledger posted", orders) as progress:
        while (left := await _waiting()) and time.monotonic() < end:
            async with app.transaction() as tx:
                progress.to(await _number(tx, "select count(*) from postings"))
            await asyncio.sleep(0.2)
        progress.to(orders)
    return left


async def _waiting() -> int:
    """How many messages wait or are held, and how many records are unread."""
    from shop import accepted, ledger, orders

    stats = [await orders.stats(), *[await accepted[name].stats() for name in SUBSCRIPTIONS]]
    queued = sum(each.ready + each.leased + each.delayed for each in stats)
    return queued + sum((await ledger.lag("balances")).values())


async def _rows(tx: Transaction, table: str) -> Rows:
    (row,) = await tx.fetch(f"select count(*), count(distinct {EFFECTS[table]}) from {table}")
    return Rows(*row)


async def _number(tx: Transaction, sql: str) -> int:
    (row,) = await tx.fetch(sql)
    return row[0]
