"""What the outcome of a call says was done for it."""

import asyncio
import contextlib
import threading
from typing import Any

import pytest

from isthmus.clock import ManualClock
from isthmus.deadline import deadline
from isthmus.resilience import (
    Bulkhead,
    Cache,
    CircuitBreaker,
    Fallback,
    Feature,
    Hedge,
    LastKnownGood,
    Outcome,
    Policy,
    RateLimit,
    Retry,
    Timeout,
)
from isthmus.resilience.degraded import note_degraded

pytestmark = pytest.mark.usefixtures("way")


class Supplier:
    def __init__(self) -> None:
        self.calls = 0
        self.error: Exception | None = None

    async def get(self) -> int:
        return self.get_sync()

    def get_sync(self) -> int:
        self.calls += 1
        if self.error is not None:
            raise self.error
        return self.calls


def told(outcome: Any) -> tuple[int, str]:
    return outcome.attempts, outcome.ended_by


async def test_no_call_was_made_for_an_answer_that_was_kept():
    guard, supplier = Policy(Retry(3), Cache(10)), Supplier()
    assert told(await guard.outcome(supplier.get)) == (1, "")
    assert told(await guard.outcome(supplier.get)) == (0, "cache")
    assert told(guard.outcome_sync(supplier.get_sync)) == (1, "")
    assert told(guard.outcome_sync(supplier.get_sync)) == (0, "cache")


async def test_no_call_was_made_for_an_error_that_was_kept():
    guard, supplier = Policy(Cache(10, errors=KeyError)), Supplier()
    supplier.error = KeyError("none")
    assert told(await guard.outcome(supplier.get)) == (1, "")
    assert told(await guard.outcome(supplier.get)) == (0, "cache")


async def test_no_call_was_made_for_an_answer_that_is_renewed_behind():
    clock, supplier = ManualClock(), Supplier()
    cache = Cache(10, stale=10)
    guard = Policy(cache, clock=clock)
    await guard.outcome(supplier.get)
    await clock.advance(10)
    assert told(await guard.outcome(supplier.get)) == (0, "cache")
    await clock.settle()
    assert supplier.calls == 2


async def test_who_waits_for_the_call_of_another_made_none():
    guard, gate = Policy(Cache(10)), asyncio.Event()
    both = [asyncio.ensure_future(guard.outcome(gate.wait)) for _ in range(2)]
    await ManualClock().settle()
    gate.set()
    assert [told(one) for one in await asyncio.gather(*both)] == [(1, ""), (0, "")]


@pytest.mark.parametrize("error", [None, OSError("away")])
def test_a_thread_that_waits_for_the_call_of_another_made_none(error: Exception | None):
    guard, began, gate = Policy(Cache(0)), threading.Event(), threading.Event()
    outcomes: list[tuple[int, str]] = []

    def call() -> None:
        began.set()
        assert gate.wait(5)
        if error is not None:
            raise error

    cached = guard.strategies[0]
    assert isinstance(cached, Cache)

    def ask() -> None:
        outcomes.append(told(guard.outcome_sync(call)))

    first, second = threading.Thread(target=ask), threading.Thread(target=ask)
    first.start()
    assert began.wait(5)
    (flight,) = cached._sync_flights._all.values()
    waits, wait = threading.Event(), flight.done.wait
    flight.done.wait = lambda timeout=None: (waits.set(), wait(timeout))[1]  # type: ignore[method-assign]
    second.start()
    assert waits.wait(5)
    gate.set()
    first.join()
    second.join()
    assert sorted(outcomes) == [(0, ""), (1, "")]


async def test_calls_of_a_hedge_are_counted():
    clock, calls = ManualClock(), 0

    async def slow() -> int:
        nonlocal calls
        calls += 1
        await clock.sleep(3 if calls == 1 else 1)
        return calls

    task = asyncio.ensure_future(Policy(Hedge(1), clock=clock, idempotent=True).outcome(slow))
    await clock.advance(3)
    assert told(task.result()) == (2, "")


async def test_a_hedge_whose_calls_were_all_refused_made_none():
    clock, bulkhead = ManualClock(), Bulkhead(1, queue=5, wait=2)
    guard = Policy(Hedge(1), bulkhead, clock=clock, idempotent=True)
    gate = asyncio.Event()
    runs = asyncio.ensure_future(guard.call(gate.wait, idempotent=False))
    await clock.settle()
    task = asyncio.ensure_future(guard.outcome(gate.wait))
    await clock.advance(9)
    assert told(task.result()) == (0, "bulkhead")
    runs.cancel()
    await clock.settle()


async def test_what_guarded_calls_within_a_call_do_is_not_told_of_it():
    supplier, breaker = Supplier(), CircuitBreaker()
    breaker.isolate()
    inner, outer = Policy(Retry(3, delay=0), idempotent=True), Policy(Bulkhead(9))

    async def call() -> int:
        for guard in (inner, Policy(breaker)):
            supplier.error = ConnectionError("away")
            await guard.outcome(supplier.get)
            with contextlib.suppress(Exception):
                await guard.call(supplier.get)
        return 1

    def call_sync() -> int:
        with contextlib.suppress(Exception):
            inner.call(supplier.get_sync)
        return 1

    assert told(await outer.outcome(call)) == (1, "")
    assert told(outer.outcome_sync(call_sync)) == (1, "")


async def test_whose_outcome_is_asked_for_is_named():
    async def charge() -> None:
        raise ConnectionError

    outcome = await Policy(Retry(2, delay=0), idempotent=True).outcome(charge)
    assert "charge failed 2 times" in str(outcome.error)


async def test_whoever_refuses_a_call_is_named():
    breaker, feature = CircuitBreaker(), Feature("x")
    breaker.isolate()
    feature.off()
    limit = RateLimit(1, 1000)
    limit.allow()
    bulkhead = Bulkhead(1)
    holds = asyncio.ensure_future(Policy(bulkhead).call(asyncio.Event().wait))
    await asyncio.tasks.sleep(0)
    supplier = Supplier()
    for strategy in (breaker, feature, limit, bulkhead):
        assert told(await Policy(strategy).outcome(supplier.get)) == (0, strategy.kind)
        assert told(Policy(strategy).outcome_sync(supplier.get_sync)) == (0, strategy.kind)
    with deadline(-1):
        for precise in (True, False):
            outcome = await Policy(Timeout(9, precise=precise)).outcome(supplier.get)
            assert told(outcome) == (0, "timeout")
    assert supplier.calls == 0
    holds.cancel()


async def test_whoever_gives_something_else_is_named():
    supplier = Supplier()
    for memory in (0, LastKnownGood()):
        supplier.error = None
        guard = Policy(Fallback(memory))
        await guard.outcome(supplier.get)
        supplier.error = OSError()
        assert told(await guard.outcome(supplier.get)) == (1, "fallback")
    clock, cache = ManualClock(), Cache(1, stale_if_error=9)
    guard, supplier.error = Policy(cache, clock=clock), None
    await guard.outcome(supplier.get)
    await clock.advance(2)
    supplier.error = OSError()
    outcome = await guard.outcome(supplier.get)
    assert (told(outcome), outcome.degraded) == ((1, "cache"), ("get",))


def test_an_outcome_is_that_of_one_call_unless_more_is_said():
    assert Outcome(3) == Outcome(3, None, 1, (), "", ())
    assert Outcome(3).ok
    assert Outcome(3).unwrap() == 3


async def test_what_a_call_notes_of_its_answer_is_told():
    def page() -> str:
        note_degraded("offers", "why")
        return "page"

    async def page_async() -> str:
        return page()

    guard = Policy(Retry(3))
    assert (await guard.outcome(page_async)).degraded == ("offers",)
    assert guard.outcome_sync(page).degraded == ("offers",)
