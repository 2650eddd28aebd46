"""What a call costs does not grow with what waits; counted in steps of SQLite's machine."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import pytest

from isthmus.clock import ManualClock
from isthmus.contracts import Ack, Nack, Outcome
from isthmus.engines.sqlite import log, queue, store
from isthmus.engines.sqlite.database.connection import OwnConnection, Work
from isthmus.engines.sqlite.database.schema import prepare
from isthmus.engines.sqlite.lanes.claims import Claim, Claimed
from isthmus.engines.sqlite.lanes.held import Held
from isthmus.engines.sqlite.lanes.leases import Receipt
from isthmus.engines.sqlite.lanes.sends import Send
from isthmus.engines.sqlite.lanes.sends import store as store_all
from isthmus.engines.sqlite.lanes.settlement import Settlement, settle
from isthmus.engines.sqlite.lanes.survey import count
from isthmus.message import Message

T = TypeVar("T")

FEW, MANY = 200, 20_000
NOW = 1_700_000_000.0


class Bench:
    """A connection to a file with one subscription, and a count of steps."""

    def __init__(self, path: Path) -> None:
        prepare(path, [store.TABLES, queue.TABLES, log.TABLES], busy_timeout=1)
        self.db = OwnConnection.open(path, busy_timeout=1, writes=True)
        self.db.execute("PRAGMA synchronous = off")
        self.clock = ManualClock(NOW)

    def declare(self, *, ordered: bool = False) -> None:
        row = ("orders", "billing", ordered)
        self.db.execute(
            "INSERT INTO isthmus_subscription (topic, name, ordered) VALUES (?, ?, ?)", row
        )

    def fill(self, number: int, *, due: bool) -> None:
        """Several priorities, some of it delayed, some of that due by now."""
        self.clock.set_back(1)
        for delay in (0.0, 0.0, 1.0 if due else 5000.0, 5000.0):
            messages = [Message(key=f"{n % 7}", priority=n % 3) for n in range(number // 4)]
            self.send(messages, delay=delay)
        self.clock.set_back(-1)

    def send(self, messages: Sequence[Message], *, delay: float = 0.0) -> None:
        self.run(
            lambda db: store_all(db, [Send.of("orders", messages, delay=delay, clock=self.clock)])
        )

    def claim(self, most: int = 10) -> Claimed:
        claim = Claim(sub=1, most=most, room=most, doubtful=(), now=self.clock.now(), span=30)
        return self.run(claim)

    def settle(self, claimed: Claimed, outcome: Callable[[str], Outcome]) -> None:
        outcomes = [outcome(str(Receipt(row[1], row[0]))) for row in claimed.rows]
        held = Held(10, lease=30)
        said = Settlement(1, outcomes, self.clock, whole=True, held=held)
        self.run(lambda db: settle(db, [said]))

    def run(self, work: Work[T]) -> T:
        self.db.execute("BEGIN")
        result = work(self.db)
        self.db.execute("COMMIT")
        return result

    def steps(self, call: Callable[[], object]) -> int:
        counted = 0

        def step() -> int:
            nonlocal counted
            counted += 1
            return 0

        self.db.set_progress_handler(step, 1)
        call()
        self.db.set_progress_handler(None, 1)
        return counted


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path / "shop.db")
    yield bench
    bench.db.close()


def grown(bench: Bench, call: Callable[[], object], *, due: bool = True) -> float:
    """How many times the steps there are once much more waits."""
    bench.fill(FEW, due=due)
    call()  # what is set up once
    few = bench.steps(call)
    bench.fill(MANY, due=due)
    return bench.steps(call) / few


def test_a_send_costs_the_same(bench: Bench) -> None:
    bench.declare()
    assert grown(bench, lambda: bench.send([Message() for _ in range(10)])) < 2


def test_a_delayed_send_costs_the_same(bench: Bench) -> None:
    bench.declare()
    assert grown(bench, lambda: bench.send([Message() for _ in range(10)], delay=60)) < 2


@pytest.mark.parametrize("outcome", [Ack, lambda receipt: Nack(receipt, delay=60)])
def test_a_claim_and_its_settlement_cost_the_same(
    bench: Bench, outcome: Callable[[str], Outcome]
) -> None:
    bench.declare()
    assert grown(bench, lambda: bench.settle(bench.claim(), outcome)) < 2


def test_a_claim_in_order_costs_the_same(bench: Bench) -> None:
    bench.declare(ordered=True)
    assert grown(bench, lambda: bench.settle(bench.claim(), Ack)) < 2


def test_figures_cost_the_same(bench: Bench) -> None:
    bench.declare()
    assert grown(bench, lambda: count(bench.db, 1, bench.clock.now()), due=False) < 2


def test_a_claim_of_many_is_a_few_statements(bench: Bench) -> None:
    bench.declare()
    bench.send([Message() for _ in range(2000)])
    one, hundred = (len(traced(bench, lambda most=most: bench.claim(most))) for most in (1, 100))
    assert one == hundred


def traced(bench: Bench, call: Callable[[], object]) -> list[str]:
    statements: list[str] = []
    bench.db.set_trace_callback(statements.append)
    call()
    bench.db.set_trace_callback(None)
    return statements
