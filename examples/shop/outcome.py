"""What came of it: counted in the database and at the services outside, then checked."""

import asyncio
import os
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import aiohttp
from customers import Basket
from processes import Shop
from progress import Progress

from isthmus import App, Transaction

SUBSCRIPTIONS = ("billing", "mailing", "analytics")
PATIENCE = 90.0
"""Seconds after which what is not settled will not be."""


@dataclass(frozen=True)
class Line:
    """One row of the table, and whether it is as it has to be."""

    what: str
    value: str
    holds: bool = True


@dataclass(frozen=True)
class Outcome:
    """All rows."""

    lines: Sequence[Line]

    @property
    def adds_up(self) -> bool:
        """Whether every number is as it has to be."""
        return all(line.holds for line in self.lines)

    def table(self) -> str:
        """Return the rows as text."""
        wide = max(len(line.what) for line in self.lines)
        rule = "─" * (wide + 44)
        rows = [f"  {l.what:<{wide}}  {l.value:<36} {'✓' if l.holds else '✗'}" for l in self.lines]  # noqa: E741
        verdict = "nothing lost, nothing done twice" if self.adds_up else "THE NUMBERS DON'T ADD UP"
        return "\n".join([rule, *rows, rule, f"  {verdict}"])


async def observe(
    shop: Shop, basket: Basket, answers: Counter[int], took: float, began: float
) -> Outcome:
    """Wait until all is settled, then count."""
    os.environ["ISTHMUS_ENGINE"] = shop.engine
    from shop import accepted, app, ledger, orders  # the environment says where it runs

    async with app:
        settled = await until_settled(app, len(basket.good))
        seconds = time.monotonic() - began
        tables = await count(app)
        letters = await orders.dead_letters.list(limit=1000)
        dead = Counter(letter.failures[-1].error for letter in letters)
        others = [await accepted[name].dead_letters.count() for name in SUBSCRIPTIONS]
        lag = sum((await ledger.lag("balances")).values())
    payments, mail = await report(shop.payments), await report(shop.mail)

    good, poison = len(basket.good), len(basket.poison)
    done = {name: tables[name] for name in ("orders", "payments", "mails", "postings")}
    lost = sum(good - distinct for _, distinct in done.values())
    twice = sum(rows - distinct for rows, distinct in done.values())
    sold = tables["sales"][0]
    handled = 5 * good
    return Outcome(
        [
            Line("HTTP requests answered", f"{answers.total()} at {answers.total() / took:,.0f}/s"),
            Line("  202 taken", f"{answers[202]}: {good} orders, {poison} poison, {len(basket.twice)} sent twice",
                 answers[202] == good + poison + len(basket.twice)),
            Line("  422 malformed", f"{answers[422]}", answers[422] == len(basket.malformed)),
            Line("workers killed with SIGKILL", f"{len(shop.killed)}", len(shop.killed) == 2),
            Line("orders accepted", _rows(done["orders"]), done["orders"] == (good, good)),
            Line("payments booked", _rows(done["payments"]), done["payments"] == (good, good)),
            Line("mails noted", _rows(done["mails"]), done["mails"] == (good, good)),
            Line("sales counted by analytics", f"{sold}", sold == good),
            Line("ledger postings", _rows(done["postings"]), done["postings"] == (good, good)),
            Line("ledger out of order within an account", f"{tables['disorder'][0]}", tables["disorder"][0] == 0),
            Line("payment service: effects / repeats", _told(payments), payments["effects"] == good),
            Line("mail service: effects / repeats", _told(mail), mail["effects"] == good),
            *[Line("dead letters", f"{n}: {why}", n == poison) for why, n in dead.items()],
            Line("dead letters elsewhere", f"{sum(others)}", sum(others) == 0),
            Line("messages and records still waiting", f"{settled + lag}", settled + lag == 0),
            Line("messages handled", f"{handled:,} in {seconds:.1f} s, {handled / seconds:,.0f}/s"),
            Line("LOST", f"{lost}", lost == 0),
            Line("EFFECTS DONE TWICE", f"{twice}", twice == 0),
        ]
    )  # fmt: skip


async def until_settled(app: App, good: int) -> int:
    """Wait until every queue and group has nothing left; return what is left."""
    end = time.monotonic() + PATIENCE
    with Progress("ledger posted", good) as progress:
        while (left := await waiting(app)) and time.monotonic() < end:
            async with app.transaction() as tx:
                progress.to((await tx.fetch("select count(*) from postings"))[0][0])
            await asyncio.sleep(0.2)
        progress.to(good)
    return left


async def waiting(app: App) -> int:
    """Return how many messages wait or are held, and records are unread."""
    from shop import accepted, ledger, orders

    all_stats = [await orders.stats()]
    all_stats += [await accepted[name].stats() for name in SUBSCRIPTIONS]
    queued = sum(stats.ready + stats.leased + stats.delayed for stats in all_stats)
    return queued + sum((await ledger.lag("balances")).values())


async def count(app: App) -> dict[str, tuple[int, int]]:
    """Return per table its rows, and its different orders among them."""
    async with app.transaction() as tx:
        counted = {
            name: await _counted(tx, name, column)
            for name, column in (
                ("orders", "id"), ("payments", "order_id"), ("mails", "order_id"), ("postings", "order_id"),
            )
        }  # fmt: skip
        counted["sales"] = (await tx.fetch("select sum(orders), sum(total) from sales"))[0]
        counted["disorder"] = ((await tx.fetch(DISORDER))[0][0], 0)
    return counted


DISORDER = """
    select count(*) from (
        select place_in_log < lag(place_in_log) over (partition by account order by place) as wrong
        from postings
    ) where wrong
"""


async def _counted(tx: Transaction, table: str, column: str) -> tuple[int, int]:
    (row,) = await tx.fetch(f"select count(*), count(distinct {column}) from {table}")
    return row[0], row[1]


async def report(url: str) -> dict[str, int]:
    """Ask a service outside what reached it."""
    async with aiohttp.ClientSession() as http, http.get(url) as answer:
        return await answer.json()


def _rows(counted: tuple[int, int]) -> str:
    return f"{counted[0]} rows, {counted[1]} different"


def _told(report: dict[str, int]) -> str:
    return f"{report['effects']} / {report['repeats']}"
