import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus.clock import ManualClock
from isthmus.errors import ConfigError
from isthmus.resilience.budget import RetryBudget
from isthmus.resilience.degraded import degrading, note_degraded
from isthmus.resilience.hedge import CallHedged, Hedge, HedgeWon, Latencies
from isthmus.resilience.policy import Policy
from isthmus.resilience.retry import Retry
from isthmus.resilience.strategy import Site
from isthmus.resilience.timeout import Timeout
from isthmus.signals import Signal, Signals


def site(clock: ManualClock, signals: Signals | None = None, *, idempotent: bool = True) -> Site:
    signals = signals or Signals()
    return Site("stock", clock, lambda _: None, lambda: 0.5, signals, idempotent=idempotent)


class Instances:
    """Each call takes as long as the script says, and returns its number, or raises."""

    def __init__(self, clock: ManualClock, *script: float | tuple[float, Exception]) -> None:
        self.clock, self.script = clock, list(script)
        self.begun = self.cancelled = 0

    async def get(self, *, idempotency_key: str = "") -> int:
        number, step = self.begun, self.script[self.begun]
        self.begun += 1
        took, error = step if isinstance(step, tuple) else (step, None)
        try:
            await self.clock.sleep(took)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if error is not None:
            raise error
        return number


async def run(clock: ManualClock, call: Awaitable[Any], seconds: float = 1000) -> Any:
    task = asyncio.ensure_future(call)
    await clock.advance(seconds)
    assert task.done()
    assert asyncio.all_tasks() == {asyncio.current_task()}
    return task.result()


async def test_a_call_that_answers_in_time_is_made_once():
    clock = ManualClock()
    instances = Instances(clock, 0.9)
    assert await run(clock, Hedge(1).around(instances.get, site(clock))()) == 0
    assert instances.begun == 1


async def test_the_first_answer_is_taken_and_the_other_call_is_ended():
    clock, signals = ManualClock(), Signals()
    heard: list[Signal] = []
    signals.listen(Signal, heard.append)
    instances = Instances(clock, 60, 2)
    task = asyncio.ensure_future(Hedge(1).around(instances.get, site(clock, signals))())
    await clock.advance(3)
    assert task.result() == 1
    assert (instances.begun, instances.cancelled) == (2, 1)
    assert [type(one) for one in heard] == [CallHedged, HedgeWon]


async def test_the_first_call_may_still_win():
    clock = ManualClock()
    instances = Instances(clock, 1.5, 60)
    assert await run(clock, Hedge(1).around(instances.get, site(clock))()) == 0
    assert instances.cancelled == 1


async def test_no_more_calls_run_beside_it_than_may():
    clock = ManualClock()
    instances = Instances(clock, 60, 50, 40, 30)
    assert await run(clock, Hedge(1, most=2).around(instances.get, site(clock))()) == 2
    assert instances.begun == 3


async def test_a_call_that_fails_in_time_fails():
    clock = ManualClock()
    instances = Instances(clock, (0.5, OSError("away")))
    with pytest.raises(OSError, match="away"):
        await run(clock, Hedge(1).around(instances.get, site(clock))())
    assert instances.begun == 1


async def test_the_one_that_does_not_fail_is_waited_for():
    clock = ManualClock()
    instances = Instances(clock, (2, OSError("first")), 5)
    assert await run(clock, Hedge(1).around(instances.get, site(clock))()) == 1


async def test_if_all_fail_the_error_of_the_first_is_raised():
    clock = ManualClock()
    instances = Instances(clock, (5, OSError("first")), (1, OSError("second")))
    with pytest.raises(OSError, match="first"):
        await run(clock, Hedge(1).around(instances.get, site(clock))())


async def test_a_call_that_may_not_be_repeated_is_not_hedged():
    clock = ManualClock()
    instances = Instances(clock, 60, 1)
    guarded = Hedge(1).around(instances.get, site(clock, idempotent=False))
    assert await run(clock, guarded()) == 0
    assert instances.begun == 1


async def test_a_call_with_an_idempotency_key_is_hedged():
    clock = ManualClock()
    instances = Instances(clock, 60, 1)
    guarded = Hedge(1).around(instances.get, site(clock, idempotent=False))
    assert await run(clock, guarded(idempotency_key="a")) == 1


async def test_without_budget_left_the_call_is_waited_for():
    clock, budget = ManualClock(), RetryBudget(0, minimum=1, window=10_000)
    instances = Instances(clock, 60, 2, 60)
    guarded = Hedge(1, budget=budget).around(instances.get, site(clock))
    assert await run(clock, guarded()) == 1
    assert await run(clock, guarded()) == 2
    assert instances.begun == 3


async def test_a_cancelled_call_leaves_no_task_behind():
    clock = ManualClock()
    instances = Instances(clock, 60, 60)
    task = asyncio.ensure_future(Hedge(1).around(instances.get, site(clock))())
    await clock.advance(2)
    assert instances.begun == 2
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    assert instances.cancelled == 2
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_one_that_takes_time_to_end_has_ended_though_its_caller_is_cancelled_twice():
    clock, ended = ManualClock(), []

    async def stubborn() -> None:
        try:
            await clock.sleep(1000)
        finally:
            await asyncio.shield(asyncio.ensure_future(clock.sleep(0)))
            ended.append(1)

    task = asyncio.ensure_future(Hedge(1).around(stubborn, site(clock))())
    await clock.advance(2)
    task.cancel()
    await asyncio.wait([task], timeout=0)
    task.cancel()
    await clock.settle()
    assert task.cancelled()
    assert asyncio.all_tasks() == {asyncio.current_task()}


@pytest.mark.parametrize("seed", range(5))
async def test_many_calls_cancelled_at_random_leave_nothing_behind(seed: int):
    clock, chance = ManualClock(), random.Random(seed)

    async def call() -> None:
        await clock.sleep(chance.random() * 4)
        if chance.random() < 0.3:
            raise OSError("away")

    guarded = Hedge(1, most=2, percentile=0.9).around(call, site(clock))
    tasks = [asyncio.ensure_future(guarded()) for _ in range(200)]
    for task in tasks:
        if chance.random() < 0.5:
            await clock.advance(chance.random() * 0.05)
            task.cancel()
    await clock.advance(20)
    await asyncio.gather(*tasks, return_exceptions=True)
    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert clock.sleepers == 0


async def test_it_waits_as_long_as_most_calls_take():
    clock = ManualClock()
    hedge = Hedge(9, percentile=0.95)
    instances = Instances(clock, *[0.1] * 38, 5, 0.1, 5, 0.1)
    guarded = hedge.around(instances.get, site(clock))
    assert hedge.waits == 9
    for _ in range(40):
        await run(clock, guarded())
    assert hedge.waits == pytest.approx(0.1)


async def test_slow_calls_that_lost_count_as_slow():
    clock = ManualClock()
    hedge = Hedge(1, percentile=0.5)
    instances = Instances(clock, *[60, 0.1] * 20)
    guarded = hedge.around(instances.get, site(clock))
    for _ in range(20):
        await run(clock, guarded())
    assert hedge.waits > 1


@given(st.lists(st.floats(0, 1e6), max_size=300), st.floats(0.01, 0.99))
def test_the_percentile_is_what_most_stayed_under(took: list[float], share: float):
    latencies = Latencies(share, most=50, least=10)
    for seconds in took:
        latencies.add(seconds)
    known = took[: len(took) - len(took) % 10][-50:]
    told = latencies.known
    assert (told is None) == (not known)
    if told is not None:
        assert sum(one <= told for one in known) >= share * len(known)
        assert sum(one < told for one in known) <= share * len(known)


def test_a_call_that_blocks_its_thread_is_refused():
    with pytest.raises(ConfigError, match="make it async, or leave out Hedge"):
        Hedge(1).around_sync(lambda: 1, site(ManualClock()))


@pytest.mark.parametrize(
    "make",
    [
        lambda: Hedge(-1),
        lambda: Hedge(most=0),
        lambda: Hedge(percentile=1),
        lambda: Hedge(percentile=0),
    ],
)
def test_an_option_out_of_range_is_refused(make: Callable[[], Hedge]):
    with pytest.raises(ConfigError, match="expected"):
        make()


def test_other_options_keep_what_was_learnt():
    hedge = Hedge(1, percentile=0.5)
    assert hedge._latencies is not None
    for _ in range(20):
        hedge._latencies.add(3)
    hedge.adopt(Hedge(2, percentile=0.5, most=2))
    assert (hedge.waits, hedge.delay, hedge.most) == (3, 2, 2)
    hedge.adopt(Hedge(2))
    assert hedge.waits == 2


def test_its_options_make_another_like_it():
    made = Hedge(2, most=3, percentile=0.9, budget=RetryBudget())
    assert Hedge(**made.options()).options() == made.options()
    assert repr(Hedge(**made.options())) == repr(made)


def test_another_budget_is_taken_and_none_is_not():
    one, other = RetryBudget(), RetryBudget()
    hedge = Hedge(1, budget=one)
    hedge.adopt(Hedge(2))
    assert (hedge.delay, hedge.budget) == (2, one)
    hedge.adopt(Hedge(2, budget=other))
    assert hedge.budget is other


async def degraded(clock: ManualClock, *script: tuple[float, bool], fails: bool = False) -> Any:
    """Return the parts and the outcome of a hedged call; each takes as long as the script says, and
    notes itself if that says so."""
    begun: list[int] = []

    async def get() -> int:
        number = len(begun)
        begun.append(number)
        took, notes = script[number]
        if notes:
            note_degraded(f"part {number}", "why")
        await clock.sleep(took)
        if fails:
            raise OSError(str(number))
        return number

    async def ask() -> Any:
        with degrading() as parts:
            outcome = await Policy(Hedge(1), clock=clock, idempotent=True).outcome(get)
        return parts, outcome

    return await run(clock, ask())


async def test_only_the_call_that_is_taken_degrades_the_answer():
    parts, outcome = await degraded(ManualClock(), (60, True), (2, False))
    assert (parts, outcome.value, outcome.degraded) == ({}, 1, ())
    parts, outcome = await degraded(ManualClock(), (60, False), (2, True))
    assert (parts, outcome.value, outcome.degraded) == ({"part 1": "why"}, 1, ("part 1",))
    parts, outcome = await degraded(ManualClock(), (2, True), (60, True))
    assert (parts, outcome.value, outcome.degraded) == ({"part 0": "why"}, 0, ("part 0",))


async def test_if_all_fail_the_first_tells_what_was_degraded():
    parts, outcome = await degraded(ManualClock(), (5, True), (1, True), fails=True)
    assert str(outcome.error) == "0"
    assert (parts, outcome.degraded) == ({"part 0": "why"}, ("part 0",))


async def test_a_call_that_lost_does_not_tell_what_ended_it():
    clock, begun = ManualClock(), list[int]()

    async def get() -> int:
        begun.append(1)
        if len(begun) == 1:
            await clock.sleep(60)
        await clock.sleep(3)
        return len(begun)

    guard = Policy(Hedge(1), Timeout(2.5), clock=clock, idempotent=True)
    first = await run(clock, guard.outcome(get))
    assert (first.ended_by, first.attempts) == ("timeout", 2)
    begun.clear()
    guard = Policy(Hedge(1), Timeout(3.5), clock=clock, idempotent=True)
    outcome = await run(clock, guard.outcome(get))
    assert (outcome.value, outcome.ended_by, outcome.attempts) == (2, "", 2)


async def test_attempts_and_waits_of_all_calls_are_told():
    clock, begun = ManualClock(), list[int]()

    async def get() -> int:
        begun.append(1)
        if len(begun) <= 2:
            raise ConnectionError
        await clock.sleep(9)
        return len(begun)

    guard = Policy(Hedge(5), Retry(3, delay=2, jitter="none"), clock=clock, idempotent=True)
    outcome = await run(clock, guard.outcome(get))
    assert (outcome.value, outcome.attempts, outcome.waits) == (4, 4, (2, 4))


async def test_calls_that_fail_teach_nothing_of_latencies():
    clock = ManualClock()
    hedge = Hedge(9, percentile=0.5)
    instances = Instances(clock, *[(0.1, OSError("away"))] * 40)
    guarded = hedge.around(instances.get, site(clock))
    for _ in range(40):
        with pytest.raises(OSError):
            await run(clock, guarded())
    assert hedge.waits == 9


async def test_who_is_cancelled_while_the_other_call_ends_is_cancelled_then():
    clock = ManualClock()

    async def get(calls: list[int] = []) -> int:  # noqa: B006
        calls.append(1)
        if len(calls) == 2:
            return 2
        try:
            await clock.sleep(60)
        finally:
            await clock.sleep(5)
        return 1

    task = asyncio.ensure_future(Hedge(1).around(get, site(clock))())
    await clock.advance(2)
    assert not task.done()
    task.cancel()
    await clock.advance(5)
    assert task.cancelled()
    assert asyncio.all_tasks() == {asyncio.current_task()}


def test_what_is_not_said_is_as_documented():
    assert Hedge().options() == {"delay": 1, "most": 1, "percentile": None, "budget": None}
