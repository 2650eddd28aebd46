import asyncio
from email.utils import formatdate
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus.clock import ManualClock
from isthmus.deadline import deadline
from isthmus.errors import ConfigError, TimedOutError, UnavailableError
from isthmus.resilience import (
    BulkheadFullError,
    CircuitBreaker,
    CircuitOpenError,
    Policy,
    RetriesSpentError,
    Retry,
    RetryBudget,
)
from isthmus.resilience.classify import retry_after, transient_result
from isthmus.resilience.facts import CallRetried, RetriesSpent
from isthmus.signals import Signals

pytestmark = pytest.mark.usefixtures("way")


class Answer:
    def __init__(self, status: int, **headers: str):
        self.status, self.headers = status, headers


class StatusError(Exception):
    def __init__(self, status: int, after: float | None = None):
        super().__init__(status)
        self.status, self.retry_after = status, after


class Bench:
    """A function that fails as scripted, on a clock that moves by itself."""

    def __init__(self, *script: object, idempotent: bool = True, inner: Any = (), **options: Any):
        self.script: list[object] = list(script)
        self.calls, self.waits = 0, list[float]()
        self.clock, self.signals = ManualClock(), Signals()
        self.told: list[Any] = []
        self.signals.listen(CallRetried, self.told.append)
        self.signals.listen(RetriesSpent, self.told.append)
        options = {"delay": 1, "jitter": "none", **options}
        policy = Policy(
            Retry(**options), *inner, name="pay", idempotent=idempotent, clock=cast(Any, self),
            signals=self.signals, pause=self.pause, draw=lambda: 0.5,
        )  # fmt: skip
        self.policy, self.call, self.call_sync = policy, policy(self.run), policy(self.run_sync)

    def now(self) -> float:
        return self.clock.now()

    async def sleep(self, seconds: float) -> None:
        self.pause(seconds)

    def pause(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.clock._now += seconds

    def run_sync(self, **_: Any) -> object:
        self.calls += 1
        step = self.script.pop(0) if self.script else "well"
        if isinstance(step, BaseException):
            raise step
        return step

    async def run(self, **_: Any) -> object:
        return self.run_sync()

    async def both(self) -> object:
        """Call once of each kind; they have to do the same."""
        script = list(self.script)
        results: list[object] = []
        for call in (self.call, self.call_sync):
            self.script, self.calls, self.waits = list(script), 0, []
            try:
                ended = call()
                results.append(await ended if asyncio.iscoroutine(ended) else ended)
            except Exception as error:  # noqa: BLE001
                results.append(error)
        one, other = results
        assert type(one) is type(other)
        if isinstance(other, Exception):
            raise other
        return other


async def test_what_may_pass_is_tried_again_on_the_ladder():
    bench = Bench(
        ConnectionError(), TimedOutError(), TimeoutError(), UnavailableError(), attempts=5
    )
    assert await bench.both() == "well"
    assert (bench.calls, bench.waits) == (5, [1, 2, 4, 8])


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
async def test_a_status_that_may_pass_is_tried_again(status: int):
    bench = Bench(StatusError(status))
    assert await bench.both() == "well"


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 422])
async def test_a_status_that_will_not_pass_is_final(status: int):
    bench = Bench(StatusError(status))
    with pytest.raises(StatusError):
        await bench.both()
    assert bench.calls == 1


async def test_any_other_error_is_final_and_passes_untouched():
    error = KeyError("x")
    bench = Bench(error)
    with pytest.raises(KeyError) as raised:
        await bench.call()
    assert raised.value is error
    assert (bench.calls, bench.told) == (1, [])


async def test_attempts_that_are_spent_are_told_with_the_last_error_as_cause():
    last = TimedOutError("late")
    bench = Bench(ConnectionError(), ConnectionError(), last)
    with pytest.raises(RetriesSpentError, match=r"run failed 3 times.*late") as raised:
        await bench.call()
    assert raised.value.__cause__ is last
    assert (raised.value.attempts, raised.value.policy) == (3, "pay")
    assert [type(one) for one in bench.told] == [CallRetried, CallRetried, RetriesSpent]
    assert bench.told[0] == CallRetried(
        policy="pay", call="run", attempt=1, delay=1, error="ConnectionError"
    )


async def test_a_final_error_of_a_later_attempt_is_the_error():
    bench = Bench(ConnectionError(), StatusError(404))
    with pytest.raises(StatusError):
        await bench.both()


async def test_only_the_idempotent_is_repeated_after_it_may_have_run():
    error = TimedOutError("late")
    bench = Bench(error, idempotent=False)
    with pytest.raises(TimedOutError) as raised:
        await bench.call()
    assert raised.value is error
    assert bench.calls == 1
    assert "not declared idempotent" in bench.told[0].reason


@pytest.mark.parametrize("error", [ConnectionRefusedError(), BulkheadFullError("x")], ids=repr)
async def test_what_never_ran_is_repeated_though_not_idempotent(error: Exception):
    assert await Bench(error, idempotent=False).both() == "well"


async def test_an_idempotency_key_makes_a_call_idempotent():
    bench = Bench(TimedOutError(), idempotent=False)
    assert await bench.call(idempotency_key="order-1") == "well"


async def test_a_call_may_be_declared_idempotent():
    bench = Bench(TimedOutError(), TimedOutError(), idempotent=False)
    assert await bench.policy.call(bench.run, idempotent=True) == "well"
    bench.script = [TimedOutError()]
    assert await bench.policy(idempotent=True)(bench.run)() == "well"


async def test_if_no_attempt_ever_ran_the_last_error_still_says_so():
    bench = Bench(BulkheadFullError("x"), BulkheadFullError("y"), BulkheadFullError("z"))
    with pytest.raises(BulkheadFullError, match="z"):
        await bench.both()
    assert bench.calls == 3


async def test_a_breaker_that_opens_ends_the_retrying():
    error = ConnectionResetError()
    bench = Bench(error, error, error, error, attempts=9, inner=[CircuitBreaker(consecutive=2)])
    with pytest.raises(RetriesSpentError, match="the circuit is open") as raised:
        await bench.call()
    assert isinstance(raised.value.__cause__, CircuitOpenError)
    assert bench.calls == raised.value.attempts == 2
    assert "failed 2 times" in str(raised.value)
    assert "the last error was ConnectionResetError" in str(raised.value)
    with pytest.raises(CircuitOpenError):  # this time it never ran
        await bench.call()


async def test_an_open_breaker_may_be_waited_for():
    bench = Bench(
        ConnectionResetError(),
        wait_for_circuit=True,
        inner=[CircuitBreaker(consecutive=1, open_for=7)],
    )
    assert await bench.call() == "well"
    assert bench.waits == [1, 6]


async def test_who_asks_to_be_left_alone_is():
    bench = Bench(StatusError(503, after=20))
    assert await bench.both() == "well"
    assert bench.waits == [20]
    bench = Bench(StatusError(503, after=0.1))
    await bench.both()
    assert bench.waits == [1]


async def test_who_asks_to_be_left_alone_for_too_long_is_not_tried_again():
    bench = Bench(StatusError(503, after=20), cap=10)
    with pytest.raises(StatusError):
        await bench.both()


async def test_results_may_be_tried_again_and_the_last_is_returned():
    bench = Bench(Answer(503, **{"Retry-After": "3"}), Answer(200), when=transient_result)
    answer: Any = await bench.both()
    assert (answer.status, bench.waits) == (200, [3])
    bench = Bench(Answer(503), Answer(503), Answer(503), when=transient_result)
    answer = await bench.both()
    assert (answer.status, bench.calls) == (503, 3)


async def test_what_is_retried_may_be_said():
    bench = Bench(KeyError(), on=lambda error: isinstance(error, KeyError))
    assert await bench.both() == "well"


async def test_no_attempt_begins_after_the_total_time():
    bench = Bench(*[ConnectionError()] * 9, attempts=9, within=8)
    with pytest.raises(RetriesSpentError, match="its time is over"):
        await bench.both()
    assert bench.waits == [1, 2, 4]


async def test_nobody_waits_beyond_the_deadline_in_force():
    bench = Bench(*[ConnectionError()] * 9, attempts=9)
    with deadline(8, clock=bench.clock), pytest.raises(RetriesSpentError, match="deadline"):
        await bench.call()
    assert bench.waits == [1, 2, 4]


async def test_a_budget_bounds_the_retries_of_all_who_share_it():
    budget = RetryBudget(0, minimum=2)
    bench = Bench(*[ConnectionError()] * 9, attempts=9, delay=0, budget=budget)
    with pytest.raises(RetriesSpentError, match="budget"):
        await bench.call()
    assert bench.calls == 3
    with pytest.raises(ConnectionError):
        await bench.call()


async def test_cancelling_ends_it():
    bench = Bench(asyncio.CancelledError())
    with pytest.raises(asyncio.CancelledError):
        await bench.call()
    assert bench.calls == 1


async def test_decorrelated_delays_go_by_the_last():
    bench = Bench(*[ConnectionError()] * 3, attempts=4, jitter="decorrelated")
    await bench.both()
    assert bench.waits == [2, 3.5, 5.75]


async def test_what_was_retried_inside_is_not_multiplied():
    bench = Bench(RetriesSpentError("spent"))
    with pytest.raises(RetriesSpentError, match=r"^spent"):
        await bench.both()


@given(
    st.lists(st.tuples(st.sampled_from(["call", "extra"]), st.floats(0, 2)), max_size=300),
    st.floats(0, 1),
    st.integers(0, 5),
)
def test_never_more_extra_calls_than_the_budget_allows(
    steps: list[tuple[str, float]], rate: float, minimum: int
):
    budget, now = RetryBudget(rate, minimum=minimum, window=10), 0.0
    calls: list[int] = []
    extras: list[int] = []
    for step, passed in steps:
        now += passed
        if step == "call":
            budget.called(now)
            calls.append(int(now))
        elif budget.spend(now):
            extras.append(int(now))
            recent = [sum(one > int(now) - 10 for one in what) for what in (calls, extras)]
            assert recent[1] <= max(minimum, rate * recent[0])


@pytest.mark.parametrize("wrong", [{"rate": 2}, {"minimum": -1}, {"window": 0}], ids=str)
def test_a_budget_out_of_range_is_refused(wrong: Any):
    with pytest.raises(ConfigError, match=rf"RetryBudget\({next(iter(wrong))}="):
        RetryBudget(**wrong)


def test_a_retry_after_is_read_wherever_it_stands():
    assert retry_after(Answer(503, **{"Retry-After": "7"})) == 7
    assert retry_after(Answer(503, **{"retry-after": formatdate(1000, usegmt=True)}), now=940) == 60
    assert retry_after(Answer(503, **{"Retry-After": formatdate(1, usegmt=True)}), now=940) == 0
    assert retry_after(Answer(503, **{"Retry-After": "soon"})) is None
    assert retry_after(Answer(503)) is None
    assert retry_after(StatusError(503, after=4)) == 4
    assert retry_after(KeyError()) is None


async def test_a_circuit_that_was_open_before_ends_no_retrying():
    breaker = CircuitBreaker(consecutive=1)
    bench = Bench(ConnectionResetError(), inner=[breaker])
    with pytest.raises(RetriesSpentError):
        await bench.call()
    assert [type(one) for one in bench.told] == [CallRetried, RetriesSpent]
    assert (bench.told[-1].attempts, bench.told[-1].reason) == (1, "the circuit is open")
    bench.told.clear()
    with pytest.raises(CircuitOpenError):
        await bench.call()
    assert bench.told == []


async def test_of_two_attempts_it_is_told_that_they_are_spent_and_of_one_it_is_not():
    bench = Bench(ConnectionError(), ConnectionError(), attempts=2)
    with pytest.raises(RetriesSpentError):
        await bench.call()
    assert bench.told[-1] == RetriesSpent(
        policy="pay", call="run", attempts=2, reason="no attempt is left", error="ConnectionError"
    )
    bench = Bench(ConnectionError(), attempts=1)
    with pytest.raises(ConnectionError):
        await bench.call()
    assert bench.told == []


async def test_nobody_waits_up_to_the_deadline_itself():
    bench = Bench(*[ConnectionError()] * 9, attempts=9)
    with deadline(15, clock=bench.clock), pytest.raises(RetriesSpentError, match="deadline"):
        await bench.call()
    assert bench.waits == [1, 2, 4]


async def test_the_first_decorrelated_delay_goes_by_the_least():
    bench = Bench(ConnectionError(), delay=0.1, jitter="decorrelated")
    await bench.both()
    assert bench.waits == [pytest.approx(0.2)]
