"""The table at the end: every number, and whether it is as it has to be."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from customers import Basket
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
    answers: Counter[int]
    """How often each HTTP status was answered."""
    sending: float
    """Seconds it took to send all requests."""
    killed: int
    tally: Tally

    @property
    def adds_up(self) -> bool:
        """Whether every number is as it has to be."""
        return all(line.holds for line in self._lines())

    def table(self) -> str:
        """Return it as text."""
        lines = list(self._lines())
        wide = max(len(line.what) for line in lines)
        rule = "─" * (wide + 52)
        rows = [f"  {_mark(line)} {line.what:<{wide}}  {line.value}" for line in lines]
        verdict = "nothing lost, nothing done twice" if self.adds_up else "IT DOES NOT ADD UP"
        return "\n".join([rule, *rows, rule, f"  {verdict}"])

    def _lines(self) -> Iterator[Line]:
        yield from self._came_in()
        yield from self._each_service_did()
        yield from self._was_left()
        yield from self._verdict()

    def _came_in(self) -> Iterator[Line]:
        good, poison, twice = (
            len(orders) for orders in (self.basket.good, self.basket.poison, self.basket.twice)
        )
        taken, refused = self.answers[202], self.answers[422]
        rate = self.answers.total() / self.sending
        yield Line("HTTP requests answered", f"{self.answers.total():,}, {rate:,.0f}/s")
        told = f"{taken:,}: {good:,} orders, {poison} poison, {twice} sent twice"
        yield Line("  202 taken", told, taken == good + poison + twice)
        yield Line("  422 malformed", f"{refused}", refused == len(self.basket.malformed))
        yield Line("workers killed with SIGKILL", f"{self.killed}", self.killed == 2)

    def _each_service_did(self) -> Iterator[Line]:
        tally, orders = self.tally, len(self.basket.good)
        for what, table in SERVICES.items():
            rows = tally.effects[table]
            yield Line(what, _told(rows), rows == Rows(orders, orders))
        yield Line("analytics: sales counted", f"{tally.sold:,}", tally.sold == orders)
        yield Line("ledger: out of order in an account", f"{tally.disorder}", tally.disorder == 0)
        for name, seen in tally.outside.items():
            yield Line(f"at the {name} service, by key", _seen(seen), seen["effects"] == orders)

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


def _seen(seen: Mapping[str, int]) -> str:
    return f"{seen['effects']:,} effects; {seen['repeats']} calls repeated, made one by their key"
