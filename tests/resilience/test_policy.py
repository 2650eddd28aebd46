import asyncio
import inspect
import traceback
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from typing import Any, assert_type

import pytest

from isthmus.clock import ManualClock
from isthmus.errors import ConfigError, TimedOutError
from isthmus.resilience import (
    Bulkhead,
    CircuitBreaker,
    CircuitOpenError,
    Outcome,
    Policy,
    RetriesSpentError,
    Retry,
    Timeout,
)

pytestmark = pytest.mark.usefixtures("way")

AT_ONCE = Retry(3, delay=0)


class Flaky:
    """Fails the first times."""

    def __init__(self, failures: int = 1):
        self.left, self.calls = failures, 0

    def maybe(self) -> None:
        self.calls += 1
        if self.left:
            self.left -= 1
            raise ConnectionError("flaky")


def policy(**options: Any) -> Policy:
    return Policy(AT_ONCE, CircuitBreaker(), Bulkhead(1), Timeout(5), idempotent=True, **options)


async def test_an_async_function_keeps_its_name_signature_and_kind():
    flaky = Flaky()

    @policy()
    async def charge(order: int, *, twice: bool = False) -> int:
        """Charge it."""
        flaky.maybe()
        return order * (1 + twice)

    assert await charge(3, twice=True) == 6
    assert flaky.calls == 2
    assert (charge.__name__, charge.__doc__) == ("charge", "Charge it.")
    assert inspect.iscoroutinefunction(charge)
    assert list(inspect.signature(charge).parameters) == ["order", "twice"]


def test_a_function_that_blocks_is_guarded_alike():
    flaky = Flaky()

    @policy()
    def charge(order: int) -> int:
        flaky.maybe()
        return order

    assert charge(3) == 3
    assert flaky.calls == 2


async def module_call(x: int) -> int:
    return x


def module_call_sync(x: int) -> int:
    return x


async def test_one_call_may_be_guarded_with_its_arguments():
    guard = policy()
    assert await guard(module_call, 3) == 3
    assert await guard(module_call, x=4) == 4
    assert guard(module_call_sync, 5) == 5
    assert await guard.call(partial(module_call, 6)) == 6
    assert len(guard._chains) == 2


async def test_methods_partials_and_objects_are_called_too():
    class Service:
        async def __call__(self, x: int) -> int:
            return x

        async def get(self, x: int) -> int:
            return x

    guard = policy()
    assert await guard(Service(), 1) == 1
    assert await guard(Service().get, 2) == 2
    assert await guard(partial(module_call), 3) == 3
    assert await guard(Service())(4) == 4


async def test_a_coroutine_from_a_function_that_is_not_async_is_refused():
    with pytest.raises(ConfigError, match="would run unguarded: give the policy the async"):
        policy()(not_async, 1)


def not_async(x: int) -> object:
    return module_call(x)


async def test_an_async_generator_is_guarded_up_to_its_first_item():
    flaky = Flaky()

    @policy()
    async def numbers(n: int) -> AsyncIterator[int]:
        flaky.maybe()
        for number in range(n):
            yield number

    assert [one async for one in numbers(3)] == [0, 1, 2]
    assert [one async for one in numbers(0)] == []
    assert inspect.isasyncgenfunction(numbers)
    assert flaky.calls == 3


async def test_an_async_generator_is_closed_and_thrown_into_as_it_was():
    ended: list[str] = []

    @policy()
    async def numbers() -> AsyncIterator[str]:
        try:
            yield "first"
            try:
                yield "second"
            except KeyError:
                yield "caught"
        finally:
            ended.append("closed")

    items: Any = numbers()
    assert await anext(items) == "first"
    assert await anext(items) == "second"
    assert await items.athrow(KeyError()) == "caught"
    await items.aclose()
    assert ended == ["closed"]


def test_a_generator_is_guarded_up_to_its_first_item():
    flaky, ended = Flaky(), []

    @policy()
    def numbers(n: int) -> Iterator[int]:
        flaky.maybe()
        try:
            for number in range(n):
                try:
                    yield number
                except KeyError:
                    yield -1
        finally:
            ended.append("closed")

    assert list(numbers(3)) == [0, 1, 2]
    assert list(numbers(0)) == []
    items: Any = numbers(2)
    next(items)
    assert items.throw(KeyError()) == -1
    items.close()
    assert ended == ["closed"] * 3


async def test_the_entering_of_a_context_manager_is_guarded():
    flaky, left = Flaky(), []

    @policy()
    @asynccontextmanager
    async def session(name: str) -> AsyncIterator[str]:
        flaky.maybe()
        try:
            yield name
        except KeyError:
            left.append("caught")
        finally:
            left.append("left")

    async with session("a") as name:
        assert name == "a"
        raise KeyError
    assert (flaky.calls, left) == (2, ["caught", "left"])


async def test_a_guarded_generator_makes_a_context_manager():
    left: list[str] = []

    @asynccontextmanager
    @policy()
    async def session() -> AsyncIterator[int]:
        try:
            yield 1
        except asyncio.CancelledError:
            left.append("cancelled")
            raise

    with pytest.raises(asyncio.CancelledError):
        async with session():
            raise asyncio.CancelledError
    assert left == ["cancelled"]


def test_the_entering_of_a_blocking_context_manager_is_guarded():
    flaky, left = Flaky(), []

    @policy()
    @contextmanager
    def session(name: str) -> Iterator[str]:
        flaky.maybe()
        yield name
        left.append("left")

    with session("a") as name:
        assert name == "a"
    assert (flaky.calls, left) == (2, ["left"])


async def test_the_outcome_tells_what_happened():
    flaky, clock = Flaky(2), ManualClock()

    async def call(x: int) -> int:
        flaky.maybe()
        return x

    guard = Policy(Retry(3, delay=0), idempotent=True, clock=clock)
    assert await guard.outcome(call, 7) == Outcome(7, attempts=3, waits=(0, 0))
    flaky.left = 9
    outcome = await guard.outcome(call, 7)
    assert isinstance(outcome.error, RetriesSpentError)
    assert (outcome.ok, outcome.attempts, outcome.ended_by) == (False, 3, "retry")
    with pytest.raises(RetriesSpentError):
        outcome.unwrap()


async def test_the_outcome_tells_which_policy_ended_it():
    breaker = CircuitBreaker()
    breaker.isolate()
    outcome = await Policy(breaker).outcome(module_call, 1)
    assert isinstance(outcome.error, CircuitOpenError)
    assert (outcome.attempts, outcome.ended_by) == (0, "circuit breaker")

    async def forever(_: int) -> None:
        await asyncio.get_running_loop().create_future()

    outcome = await Policy(Timeout(0.01)).outcome(forever, 1)
    assert isinstance(outcome.error, TimedOutError)
    assert outcome.ended_by == "timeout"


def test_the_outcome_of_a_blocking_call():
    assert policy().outcome_sync(module_call_sync, 1).unwrap() == 1


async def test_policies_within_policies_keep_their_name_and_state():
    breaker = CircuitBreaker(consecutive=1)
    inner = Policy(breaker, name="inner")
    outer = Policy(Retry(2, delay=0), inner, Timeout(5), name="outer")
    assert [one.kind for one in outer.strategies] == ["retry", "circuit breaker", "timeout"]
    breaker.isolate()
    with pytest.raises(CircuitOpenError) as refused:
        await outer(module_call, 1)
    assert refused.value.policy == "inner"


async def test_types_are_kept():
    guard = policy()
    assert_type(await guard(module_call)(1), int)
    assert_type(await guard(module_call, 1), int)
    assert_type(guard(module_call_sync, 1), int)
    assert_type(guard.call(module_call_sync, 1, idempotent=True), int)
    assert_type(await guard.call(module_call, 1), int)
    assert_type(await guard.outcome(module_call, 1), Outcome[int])
    assert_type(guard(idempotent=True), Policy)


async def test_two_timeouts_one_for_all_attempts_bound_each_other():
    async def forever(_: int) -> None:
        await asyncio.get_running_loop().create_future()

    guard = Policy(Timeout(0.05, total=True), Retry(9, delay=0), Timeout(0.02), idempotent=True)
    with pytest.raises(TimedOutError, match=r"within 0.05 s"):
        await guard(forever, 1)


def test_a_policy_of_nothing_returns_the_function_itself():
    assert Policy()(module_call) is module_call
    assert inspect.unwrap(module_call) is module_call


async def test_a_strategy_of_ones_own_is_bound_between_the_others():
    class Doubles:
        kind = "doubles"

        def around(self, call: Any, at: Any) -> Any:
            async def guarded(*args: Any, **kwargs: Any) -> int:
                return 2 * await call(*args, **kwargs)

            return guarded

        def around_sync(self, call: Any, at: Any) -> Any:
            return lambda *args, **kwargs: 2 * call(*args, **kwargs)

    guard = Policy(Bulkhead(), Timeout(5), Doubles(), Retry(3, delay=0), Bulkhead())
    assert await guard(module_call, 4) == 8
    assert guard(module_call_sync, 4) == 8


async def test_a_policy_of_nothing_only_calls():
    assert await Policy()(module_call, 1) == 1
    assert Policy()(module_call_sync, 1) == 1


@pytest.mark.parametrize(
    ("strategies", "why"),
    [
        ([Retry(), Timeout(9, total=True)], "inside of the retry that it should bound"),
        ([Retry(), CircuitBreaker(), Retry()], "two retries multiply"),
        ([Retry(), Policy(Retry())], "two retries multiply"),
    ],
)
def test_an_order_that_cannot_work_is_refused_with_the_reason(strategies: Any, why: str):
    with pytest.raises(ConfigError, match=why):
        Policy(*strategies)
    Policy(*strategies, as_written=True)


class Named:
    """Stands for a strategy of some kind."""

    def __init__(self, kind: str):
        self.kind = kind

    def around(self, call: Any, at: Any) -> Any:
        return call

    around_sync = around


@pytest.mark.parametrize(
    ("outer", "inner"),
    [
        (Bulkhead(), Named("cache")),
        (Named("rate limit"), Named("cache")),
        (Retry(), Named("fallback")),
        (CircuitBreaker(), Named("fallback")),
    ],
)
def test_what_would_hide_or_hold_up_another_is_refused(outer: Any, inner: Any):
    with pytest.raises(ConfigError, match="outside"):
        Policy(outer, Timeout(), inner)
    Policy(inner, outer)


def test_both_orders_of_retry_and_breaker_are_allowed():
    Policy(Timeout(9, total=True), Retry(), CircuitBreaker(), Timeout(2))
    Policy(CircuitBreaker(), Retry())


@pytest.mark.parametrize("wrong", [Retry, 3], ids=repr)
def test_what_is_no_strategy_is_refused(wrong: Any):
    with pytest.raises(ConfigError, match="Policy"):
        Policy(wrong)


def test_it_describes_itself():
    breaker = CircuitBreaker()
    guard = Policy(Retry(2), breaker, Timeout(2), name="payments")
    breaker.isolate()
    assert guard.describe().splitlines()[0] == "payments"
    assert "2. circuit breaker is isolated: CircuitBreaker()" in guard.describe()
    assert "3. timeout: Timeout(2)" in guard.describe()
    assert repr(guard).endswith("CircuitBreaker(), Timeout(2), name='payments')")


def test_an_operation_has_its_own_timeout_and_shares_all_else():
    breaker = CircuitBreaker()
    guard = Policy(breaker, Timeout(30, of={"read": 2}))
    read = guard.for_("GET /orders", "read")
    assert read.strategies[0] is breaker
    assert repr(read.strategies[1]) == "Timeout(2)"


def test_a_view_that_is_idempotent_is_made_once():
    guard = Policy(Retry())
    assert guard(idempotent=True) is guard.with_(idempotent=True)
    assert guard.with_(idempotent=False) is guard


async def test_a_traceback_shows_the_lines_of_its_strategies():
    async def fails() -> None:
        raise KeyError("x")

    with pytest.raises(KeyError) as raised:
        await policy()(fails)()
    shown = "".join(traceback.format_exception(raised.value))
    assert "await call(*args, **kwargs)" in shown


async def test_every_strategy_knows_the_name_of_what_it_guards():
    told: list[str] = []

    class Tells:
        kind = "tells"

        def around(self, call: Any, at: Any) -> Any:
            told.append(call.__name__)
            return lambda *args, **kwargs: call(*args, **kwargs)  # noqa: PLW0108 - has no name

        around_sync = around

    Policy(Tells(), Retry(), Bulkhead(), Tells(), Timeout(5), Policy(Tells(), Timeout(2)))(
        module_call
    )
    Policy(Tells(), Retry())(module_call_sync)
    assert told[-1] == "module_call_sync"
    assert set(told[:-1]) == {"module_call"}


def test_a_policy_is_a_strategy_of_its_own_kind():
    assert Policy().kind == "policy"


def test_half_a_strategy_is_none():
    class Half:
        kind = "half"

        def around(self, call: Any, at: Any) -> Any:
            return call

    with pytest.raises(ConfigError, match="expected strategies"):
        Policy(Half())  # type: ignore[arg-type]


async def test_a_coroutine_in_place_of_a_function_is_refused_and_counts_for_nothing() -> None:
    breaker = CircuitBreaker(consecutive=1)
    policy = Policy(breaker)

    async def ask(number: int) -> int:
        return number

    for wrong in (policy, policy.call, policy.outcome):
        call: Any = wrong
        with pytest.raises(ConfigError, match=r"is called already.*policy\(ask, \.\.\.\)"):
            await call(ask(1))
    assert breaker.state == "closed"


def test_what_is_no_function_is_refused() -> None:
    policy: Any = Policy(CircuitBreaker())
    with pytest.raises(ConfigError, match="expected a function to guard, got 3"):
        policy(3)
    with pytest.raises(ConfigError, match="without parentheses"):
        policy()
    with pytest.raises(ConfigError, match="idempotent='no': expected True or False"):
        policy(idempotent="no")
    with pytest.raises(ConfigError, match="idempotent='no': expected True or False"):
        Policy(CircuitBreaker(), idempotent="no")  # type: ignore[arg-type]


def test_the_outcome_of_an_async_function_has_to_be_awaited() -> None:
    async def ask() -> int:
        return 1

    with pytest.raises(ConfigError, match=r"ask is async: await policy\.outcome"):
        Policy(CircuitBreaker()).outcome_sync(ask)


async def test_a_policy_within_another_speaks_in_its_own_name_or_in_that_ones():
    async def call() -> None: ...

    for inner, said in (("stripe", "stripe"), ("", "pay")):
        breaker = CircuitBreaker()
        breaker.isolate()
        guard = Policy(Bulkhead(2), Policy(breaker, name=inner), name="pay")
        with pytest.raises(CircuitOpenError) as refused:
            guard(lambda: None)()
        assert refused.value.policy == said
        with pytest.raises(CircuitOpenError) as refused:
            await guard(call)()
        assert refused.value.policy == said


async def test_a_strategy_of_ones_own_may_bind_a_call_to_a_method_within_another():
    class Twice:
        kind = "twice"

        def __init__(self, call: Any = None):
            self.inner = call

        async def run(self, *args: Any) -> Any:
            await self.inner(*args)
            return await self.inner(*args)

        def run_sync(self, *args: Any) -> Any:
            return self.inner(*args), self.inner(*args)

        def around(self, call: Any, at: Any) -> Any:
            return Twice(call).run

        def around_sync(self, call: Any, at: Any) -> Any:
            return Twice(call).run_sync

    calls: list[int] = []

    async def count() -> int:
        calls.append(1)
        return len(calls)

    assert await Policy(Bulkhead(2), Twice())(count)() == 2
    assert Policy(Bulkhead(2), Twice())(lambda: 1)() == (1, 1)
