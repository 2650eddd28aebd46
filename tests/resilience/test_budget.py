"""A budget counts what was asked for once, and bounds what is made beyond it."""

import asyncio
from typing import Any

import pytest

from isthmus.clock import ManualClock
from isthmus.resilience import Hedge, Policy, Retry, RetryBudget

pytestmark = pytest.mark.usefixtures("way")


class Counting(RetryBudget):
    def __init__(self) -> None:
        super().__init__(1, minimum=0)
        self.calls = 0

    def called(self, now: float) -> None:
        self.calls += 1
        super().called(now)


async def answer() -> int:
    return 1


@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("order", [1, -1])
async def test_a_call_is_counted_once_by_a_budget_that_two_strategies_share(
    *, order: int, nested: bool
):
    budget = Counting()
    strategies: list[Any] = [Retry(3, budget=budget), Hedge(1, budget=budget)][::order]
    guard = Policy(strategies[0], Policy(strategies[1])) if nested else Policy(*strategies)
    await guard.call(answer, idempotent=True)
    await guard(idempotent=True)(answer)()
    assert budget.calls == 2


async def test_further_attempts_are_not_counted_as_calls():
    budget, clock = Counting(), ManualClock()

    async def fails() -> None:
        raise OSError

    guard = Policy(Retry(3, delay=0, budget=budget), Hedge(9, budget=budget), clock=clock)
    for _ in range(3):
        await asyncio.gather(guard.call(fails, idempotent=True), return_exceptions=True)
    assert budget.calls == 3


async def test_two_budgets_of_one_policy_both_count():
    one, other = Counting(), Counting()
    guard = Policy(Retry(3, budget=one), Hedge(1, budget=other))
    await guard.call(answer, idempotent=True)
    assert (one.calls, other.calls) == (1, 1)


def test_a_blocking_call_is_counted_once():
    budget = Counting()
    Policy(Retry(3, budget=budget), Policy(Retry(2, budget=budget)), as_written=True)(lambda: 1)()
    assert budget.calls == 1


def test_a_blocking_call_of_one_retry_is_counted():
    budget = Counting()
    Policy(Retry(3, budget=budget))(lambda: 1)()
    assert budget.calls == 1


async def test_calls_of_a_retry_alone_are_counted():
    budget = RetryBudget(1, minimum=0)
    guard = Policy(Retry(2, delay=0, budget=budget), idempotent=True)
    calls: list[int] = []

    async def flaky() -> int:
        calls.append(1)
        if len(calls) == 1:
            raise ConnectionError
        return len(calls)

    assert await guard(flaky)() == 2
