"""The table at the end: every number, and whether it is as it has to be."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from customers import Answers, Basket
from tally import Rows, Tally

HANDLINGS = 5
"""Messages and records handled for one order: accepted, billed, mailed, counted, posted."""


@dataclass(frozen=True)
class Line:
    """One row, and whether it holds."""

    what: str
    value: str
    holds: bool = True


@dataclass(frozen=True)
class Outcome:
    """What was asked for, what was answered, and what came of it."""

    basket: Basket
    answers: Answers
    sending: float
    """Seconds it took to send all requests."""
    killed: Sequence[int]
    """The pids of the workers that were killed."""
    tally: Tally

    @property
    def adds_up(self) -> bool:
        """Whether every number is as it has to be."""
        return all(line.holds for line in self._lines())

    def table(self) -> str:
        """Return it as text."""
        lines = list(self._lines())
        wide = max(len(line.what) for line in lines)
        rule = "─" * (wide + 64)
        rows = [f"  {_mark(line)} {line.what:<{wide}}  {line.value}" for line in lines]
        verdict = "nothing lost, nothing done twice" if self.adds_up else "IT DOES NOT ADD UP"
        return "\n".join([rule, *rows, rule, f"  {verdict}"])

    def _lines(self) -> Iterator[Line]:
        yield from self._came_in()
        yield from self._each_service_did()
        yield from self._went_wrong_outside()
        yield from self._was_left()
        yield from self._verdict()

    def _came_in(self) -> Iterator[Line]:
        good, poison, twice = (
            len(orders) for orders in (self.basket.good, self.basket.poison, self.basket.twice)
        )
        statuses = self.answers.statuses
        taken, refused = statuses[202], statuses[422]
        rate = (statuses.total() + self.answers.pages.total()) / self.sending
        yield Line("orders answered over HTTP", f"{statuses.total():,}, {rate:,.0f}/s with pages")
        told = f"{taken:,}: {good:,} orders, {poison} poison, {twice} sent twice"
        yield Line("  202 taken", told, taken == good + poison + twice)
        yield Line("  422 malformed", f"{refused}", refused == len(self.basket.malformed))
        yield self._pages()
        killed = len(self.killed)
        yield Line("workers killed with SIGKILL", f"{killed}", killed == 2)

    def _pages(self) -> Line:
        pages = self.answers.pages
        whole, without = pages[""], pages["delivery"]
        told = f"{pages.total()}: {whole} whole, {without} degraded, and named so: delivery"
        return Line("pages of orders", told, whole + without == self.basket.looks and without > 0)

    def _each_service_did(self) -> Iterator[Line]:
        tally, orders = self.tally, len(self.basket.good)
        for what, table in SERVICES.items():
            rows = tally.effects[table]
            yield Line(what, _told(rows), rows == Rows(orders, orders))
        yield Line("analytics: sales counted", f"{tally.sold:,}", tally.sold == orders)
        yield Line("ledger: out of order in an account", f"{tally.disorder}", tally.disorder == 0)
        cents = sum(order["total"] for order in self.basket.good)
        for name, seen in tally.outside.items():
            exact = seen["effects"] == orders and seen["total"] == cents
            yield Line(f"at the {name} service, by key", _seen(seen), exact)

    def _went_wrong_outside(self) -> Iterator[Line]:
        service, notes = self.tally.outside["payment"], self.tally.payments
        failed, stalled = service["failed"], service["stalled"]
        told = f"{failed} calls failed, {stalled} stalled"
        yield Line("payment service: bad days", told, failed > 0 and stalled > 0)
        opened, closed = notes.became("open"), notes.became("closed")
        told = f"opened {opened} times, closed {closed} times"
        yield Line("payments: circuits", told, opened >= 2)
        for number, states in enumerate(notes.states(killed=self.killed), 1):
            yield Line(f"  worker {number}", states)
        told = f"{notes.saved:,} refused; billing paused {notes.pauses} times"
        yield Line("payments: calls saved by them", told, notes.saved > 0)
        yield Line("payments: calls retried", f"{notes.retried:,}", notes.retried > 0)

    def _was_left(self) -> Iterator[Line]:
        tally, poison = self.tally, len(self.basket.poison)
        for why, count in tally.dead.items():
            yield Line("dead letters", f"{count}: {why}", count == poison)
        elsewhere, waiting = tally.dead_elsewhere, tally.waiting
        yield Line("dead letters elsewhere", f"{elsewhere}", elsewhere == 0)
        yield Line("still waiting", f"{waiting}", waiting == 0)

    def _verdict(self) -> Iterator[Line]:
        tally, orders = self.tally, len(self.basket.good)
        handled = HANDLINGS * orders
        rate = f"{handled:,} in {tally.took:.1f} s, {handled / tally.took:,.0f}/s"
        yield Line("messages and records handled", rate)
        yield Line("LOST", f"{tally.lost(orders)}", tally.lost(orders) == 0)
        yield Line("EFFECTS DONE TWICE", f"{tally.twice}", tally.twice == 0)


SERVICES = {
    "orders: accepted": "orders",
    "billing: payments booked": "payments",
    "mailing: mails noted": "mails",
    "ledger: entries posted": "postings",
}


def _mark(line: Line) -> str:
    return "✓" if line.holds else "✗"


def _told(rows: Rows) -> str:
    return f"{rows.all:,} rows of {rows.different:,} orders"


def _seen(seen: Mapping[str, Any]) -> str:
    return f"{seen['effects']:,} effects; {seen['repeats']} calls repeated, made one by their key"
