"""What the three machines share: time that passes, and transactions that stay open."""

from collections.abc import Callable
from typing import Any, ClassVar
from unittest import TestCase

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, rule

from isthmus.contracts import Engine
from isthmus.testing.model.twins import OpenEmpty, Side, Twins

__all__ = ["Machine", "test_case", "transactions"]

transactions: Bundle[int] = Bundle("transactions")


class Machine(RuleBasedStateMachine):
    open_empty: ClassVar[OpenEmpty]
    side: ClassVar[Callable[[Engine], Side]]

    def __init__(self) -> None:
        super().__init__()
        kind = type(self)
        self.twins = Twins(kind.__dict__["open_empty"].__func__, kind.side)
        self._begun = 0

    def ask(self, call: Callable[[Any], Any]) -> Any:
        return self.twins.ask(call)

    @rule(seconds=st.sampled_from([1.0, 4.0, 5.0, 10.0, 20.0]))
    def time_passes(self, seconds: float) -> None:
        self.twins.advance(seconds)

    @rule(target=transactions)
    def begin(self) -> int:
        return self._begin()

    def _begin(self) -> int:
        for side in self.twins.sides:
            side.transactions.append(side.store.begin())
        self._begun += 1
        return self._begun - 1

    @rule(data=st.data(), inside=st.lists(st.booleans(), min_size=2, max_size=6))
    def transact(self, data: st.DataObject, inside: list[bool]) -> None:
        """A transaction from begin to end, among calls that are none of its."""
        number = self._begin()
        for joins in inside:
            self.any_call(data, number if joins else None)
        end = data.draw(st.sampled_from([self.commit, self.commit, self.roll_back]))
        end(number)

    def any_call(self, data: st.DataObject, tx: int | None) -> None:
        """Make one of the calls that a transaction may join."""
        raise NotImplementedError

    @rule(number=consumes(transactions))
    def commit(self, number: int) -> None:
        self.ask(lambda side: side.tx(number).commit())

    @rule(number=consumes(transactions))
    def roll_back(self, number: int) -> None:
        self.ask(lambda side: side.tx(number).rollback())

    def teardown(self) -> None:
        self.twins.close()


def test_case(
    machine: type[Machine], open_empty: OpenEmpty, *, runs: int, steps: int
) -> type[TestCase]:
    """Make a test case of the machine, with `open_empty` built in."""
    bound = type(machine.__name__, (machine,), {"open_empty": staticmethod(open_empty)})
    case = bound.TestCase
    case.settings = settings(
        max_examples=runs,
        stateful_step_count=steps,
        deadline=None,
        report_multiple_bugs=False,  # one at a time is shrunk in a fraction of the time
        suppress_health_check=[HealthCheck.too_slow],
    )
    return case
