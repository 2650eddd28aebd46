import asyncio
import contextlib
import inspect
from typing import Any

import pytest

from isthmus.clock import ManualClock
from isthmus.errors import ConfigError
from isthmus.resilience import CircuitBreaker, CircuitOpenError, NotCalledError, Policy
from isthmus.resilience.facts import CircuitChanged
from isthmus.signals import Signals

pytestmark = pytest.mark.usefixtures("way")


class RefusedError(Exception):
    """As an HTTP client has it."""

    def __init__(self, status: int):
        super().__init__(status)
        self.status = status


class Dependency:
    """Answers, or raises what it was told to."""

    def __init__(self):
        self.calls = 0
        self.error: BaseException | None = None

    async def call(self) -> str:
        self.calls += 1
        if self.error:
            raise self.error
        return "well"

    def call_sync(self) -> str:
        self.calls += 1
        if self.error:
            raise self.error
        return "well"


class Bench:
    """A breaker around a dependency, on a clock of its own."""

    def __init__(self, *args: Any, **options: Any):
        self.clock, self.signals, self.dependency = ManualClock(), Signals(), Dependency()
        self.breaker = CircuitBreaker(*args, **options)
        policy = Policy(self.breaker, name="pay", clock=self.clock, signals=self.signals)
        self.call = policy(self.dependency.call)
        self.call_sync = policy(self.dependency.call_sync)

    async def fail(self, times: int = 1, error: BaseException | None = None) -> None:
        self.dependency.error = error or ConnectionError("gone")
        for _ in range(times):
            with pytest.raises((type(self.dependency.error), CircuitOpenError)):
                await self.call()
        self.dependency.error = None

    async def succeed(self, times: int = 1) -> None:
        for _ in range(times):
            assert await self.call() == "well"


async def test_it_opens_at_the_failure_rate_once_the_minimum_of_calls_is_there():
    bench = Bench(0.5, minimum=10)
    await bench.succeed(5)
    await bench.fail(4)
    assert bench.breaker.state == "closed"
    await bench.fail(1)
    assert bench.breaker.state == "open"


async def test_a_breaker_that_opened_calls_nothing_and_says_when_to_come_back():
    bench = Bench(consecutive=1, open_for=5)
    await bench.fail()
    calls = bench.dependency.calls
    await bench.clock.advance(2)
    with pytest.raises(CircuitOpenError, match=r"pay: the circuit is open.*in 3 s") as refused:
        await bench.call()
    assert bench.dependency.calls == calls
    assert refused.value.retry_after == pytest.approx(3)
    assert refused.value.policy == "pay"
    assert isinstance(refused.value, NotCalledError)
    assert refused.value.retryable


async def test_failures_older_than_the_window_are_forgotten():
    bench = Bench(0.5, window=10, minimum=4)
    await bench.fail(3)
    await bench.clock.advance(10)
    await bench.succeed(1)
    await bench.fail(1)
    assert bench.breaker.state == "closed"


async def test_a_count_window_looks_at_the_last_calls_whenever_they_were():
    bench = Bench(0.5, calls=4, minimum=4)
    await bench.fail(1)
    await bench.clock.advance(1000)
    await bench.succeed(2)
    assert bench.breaker.state == "closed"
    await bench.fail(1)
    assert bench.breaker.state == "open"


async def test_a_run_of_failures_opens_it_and_a_success_ends_the_run():
    bench = Bench(None, consecutive=3)
    await bench.fail(2)
    await bench.succeed()
    await bench.fail(2)
    assert bench.breaker.state == "closed"
    await bench.fail(1)
    assert bench.breaker.state == "open"


async def test_slow_calls_open_it_though_they_succeed():
    bench = Bench(None, slow=1, slow_rate=0.5, minimum=2)

    async def slow() -> None:
        await bench.clock.advance(1)

    guarded = Policy(bench.breaker, clock=bench.clock)(slow)
    await guarded()
    assert bench.breaker.state == "closed"
    await guarded()
    assert bench.breaker.state == "open"


async def test_probes_that_go_well_close_it():
    bench = Bench(consecutive=1, open_for=5, successes=2)
    await bench.fail()
    await bench.clock.advance(5)
    await bench.succeed()
    assert bench.breaker.state == "half-open"
    await bench.succeed()
    assert bench.breaker.state == "closed"


async def test_a_probe_that_fails_opens_it_for_longer_if_so_wished():
    bench = Bench(consecutive=1, open_for=1, growth=3, open_cap=5)
    spans: list[float | None] = []
    await bench.fail()
    for _ in range(4):
        spans.append(bench.breaker.blocked_for(clock=bench.clock))
        await bench.clock.advance(spans[-1] or 0)
        await bench.fail()
    assert spans == [1, 3, 5, 5]


async def test_closing_forgets_how_long_it_was_open():
    bench = Bench(consecutive=1, open_for=1, growth=3)
    await bench.fail()
    await bench.clock.advance(1)
    await bench.fail()
    await bench.clock.advance(3)
    await bench.succeed()
    await bench.fail()
    assert bench.breaker.blocked_for(clock=bench.clock) == 1


async def test_the_permit_of_a_cancelled_probe_returns():
    bench = Bench(consecutive=1, open_for=1)
    await bench.fail()
    await bench.clock.advance(1)
    await bench.fail(1, error=asyncio.CancelledError())
    assert bench.breaker.state == "half-open"
    await bench.succeed()
    assert bench.breaker.state == "closed"


async def test_a_cancelled_call_counts_for_nothing():
    bench = Bench(consecutive=1)
    await bench.fail(3, error=asyncio.CancelledError())
    assert bench.breaker.state == "closed"


async def test_an_error_that_finds_fault_with_the_request_is_an_answer():
    bench = Bench(consecutive=2)
    await bench.fail(3, error=RefusedError(404))
    await bench.fail(1)
    await bench.fail(1, error=RefusedError(400))
    await bench.fail(1)
    assert bench.breaker.state == "closed"
    await bench.fail(1, error=RefusedError(503))
    assert bench.breaker.state == "open"


async def test_a_call_that_an_inner_policy_refused_says_nothing():
    bench = Bench(consecutive=1)
    await bench.fail(1, error=NotCalledError("full"))
    assert bench.breaker.state == "closed"


async def test_what_counts_may_be_said():
    bench = Bench(consecutive=1, counts=lambda error: isinstance(error, KeyError))
    await bench.fail(1)
    assert bench.breaker.state == "closed"
    await bench.fail(1, error=KeyError("x"))
    assert bench.breaker.state == "open"


async def test_results_may_count_as_failures():
    bench = Bench(consecutive=1, results=lambda result: result == "well")
    await bench.succeed()
    assert bench.breaker.state == "open"


async def test_isolated_it_refuses_until_reset():
    bench = Bench(open_for=1)
    bench.breaker.isolate()
    await bench.clock.advance(1000)
    with pytest.raises(CircuitOpenError, match="isolated") as refused:
        await bench.call()
    assert refused.value.retry_after is None
    bench.breaker.reset()
    await bench.succeed()


async def test_metrics_only_tells_and_refuses_nothing():
    bench = Bench(consecutive=1, metrics_only=True)
    await bench.fail()
    assert bench.breaker.state == "open"
    await bench.succeed(3)
    bench.breaker.isolate()
    await bench.succeed(3)


async def test_a_call_that_outlived_its_phase_says_nothing_of_the_present():
    bench = Bench(consecutive=1, open_for=1)
    late = asyncio.Event()

    async def slow() -> None:
        await late.wait()
        raise ConnectionError

    old = asyncio.ensure_future(Policy(bench.breaker, clock=bench.clock)(slow)())
    await bench.clock.settle()
    await bench.fail()
    await bench.clock.advance(1)
    await bench.succeed()
    late.set()
    with pytest.raises(ConnectionError):
        await old
    assert bench.breaker.state == "closed"


async def test_listeners_hear_each_change_and_may_leave_and_may_fail():
    bench, heard = Bench(consecutive=1, name="stripe"), []
    told: list[CircuitChanged] = []
    bench.signals.listen(CircuitChanged, told.append)
    leave = bench.breaker.listen(lambda was, now: heard.append((was, now)))
    bench.breaker.listen(lambda *_: 1 / 0)
    await bench.fail()
    leave()
    bench.breaker.reset()
    assert heard == [("closed", "open")]
    assert told == [CircuitChanged(policy="pay", circuit="stripe", was="closed", now="open")]


async def test_who_waits_until_it_is_ready_is_woken_when_a_call_may_pass():
    bench = Bench(consecutive=1, open_for=5)
    await bench.fail()
    waits = asyncio.ensure_future(bench.breaker.wait_ready(clock=bench.clock))
    await bench.clock.advance(4.9)
    assert not waits.done()
    await bench.clock.advance(0.1)
    assert waits.done()


async def test_who_waits_is_woken_by_a_reset():
    bench = Bench()
    bench.breaker.isolate()
    waits = asyncio.ensure_future(bench.breaker.wait_ready(clock=bench.clock))
    await bench.clock.settle()
    bench.breaker.reset()
    await bench.clock.settle()
    assert waits.done()


async def test_a_listening_waiter_that_is_cancelled_leaves_nothing():
    bench = Bench()
    bench.breaker.isolate()
    waits = asyncio.ensure_future(bench.breaker.wait_ready(clock=bench.clock))
    await bench.clock.settle()
    waits.cancel()
    await bench.clock.settle()
    assert bench.breaker._listeners == ()


def test_calls_that_block_their_thread_share_the_state():
    bench = Bench(consecutive=2, open_for=1)
    bench.dependency.error = ConnectionError()
    for _ in range(2):
        with pytest.raises(ConnectionError):
            bench.call_sync()
    with pytest.raises(CircuitOpenError):
        bench.call_sync()
    assert bench.breaker.state == "open"
    bench.breaker.reset()
    bench.dependency.error = None
    assert [bench.call_sync() for _ in range(3)] == ["well"] * 3


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"failure_rate": 0}, r"failure_rate=0\): expected above 0"),
        ({"failure_rate": 1.1}, "failure_rate"),
        ({"failure_rate": None}, "nothing would open it"),
        ({"window": 0}, r"window=0\): expected more than 0 seconds"),
        ({"calls": 0}, "calls=0"),
        ({"calls": 5}, "minimum is never reached"),
        ({"minimum": 0}, "minimum=0"),
        ({"consecutive": 0}, "consecutive=0"),
        ({"slow": 0}, "slow="),
        ({"slow_rate": 2}, "slow_rate=2"),
        ({"open_for": 0}, "open_for"),
        ({"growth": 0.5}, "growth"),
        ({"probes": 0}, "probes"),
        ({"successes": 0}, "successes"),
    ],
    ids=str,
)
def test_an_option_out_of_range_is_refused_by_name_value_and_range(wrong: Any, told: str):
    with pytest.raises(ConfigError, match=told):
        CircuitBreaker(**wrong)


def test_it_shows_what_is_not_as_usual():
    assert repr(CircuitBreaker()) == "CircuitBreaker()"
    assert repr(CircuitBreaker(0.2, open_for=9, name="x")) == (
        "CircuitBreaker(failure_rate=0.2, open_for=9.0, name='x')"
    )


@pytest.mark.parametrize("says", ["results", "counts"])
async def test_what_fails_to_judge_a_probe_loses_no_probe(says: str):
    def judge(_: object) -> bool:
        if bench.breaker.state == "half-open":
            raise LookupError("of the judge")
        return says == "counts"

    bench = Bench(minimum=1, open_for=5, **{says: judge})
    bench.dependency.error = OSError() if says == "counts" else None
    policy = Policy(bench.breaker, clock=bench.clock)
    for call in (bench.dependency.call, bench.dependency.call_sync):
        bench.breaker._circuit.open_until(bench.clock.now() + 5)
        await bench.clock.advance(5)
        for _ in range(3):
            with pytest.raises(LookupError):
                await result(policy(call)())
        assert bench.breaker.blocked_for(clock=bench.clock) == 0


async def result(given: Any) -> Any:
    return await given if inspect.isawaitable(given) else given


async def test_one_that_only_counts_keeps_nobody_waiting():
    bench = Bench(metrics_only=True)
    bench.breaker.isolate()
    assert bench.breaker.blocked_for(clock=bench.clock) == 0
    await bench.breaker.wait_ready(clock=bench.clock)
    assert await bench.call() == "well"


def test_blocking_calls_that_go_well_count_against_the_failures():
    bench = Bench(0.5, minimum=4, window=10)
    for _ in range(3):
        bench.call_sync()
    bench.dependency.error = OSError()
    for state in ("closed", "closed", "open"):
        with pytest.raises(OSError):
            bench.call_sync()
        assert bench.breaker.state == state


async def test_other_options_keep_what_was_counted_unless_they_count_otherwise():
    bench = Bench(consecutive=2)
    await bench.fail(1)
    bench.breaker.adopt(CircuitBreaker(consecutive=2, open_for=9))
    await bench.fail(1)
    assert bench.breaker.state == "open"
    bench.breaker.reset()
    await bench.fail(1)
    bench.breaker.adopt(CircuitBreaker(consecutive=2, window=9))
    await bench.fail(1)
    assert bench.breaker.state == "closed"


async def test_nobody_can_tell_when_a_probe_that_is_out_will_be_back():
    bench, gate = Bench(consecutive=1, open_for=5, probes=2), asyncio.Event()
    await bench.fail()
    await bench.clock.advance(5)
    policy = Policy(bench.breaker, clock=bench.clock)
    blocked, probes = list[float | None](), list[asyncio.Future[Any]]()
    for _ in range(2):
        blocked.append(bench.breaker.blocked_for(clock=bench.clock))
        probes.append(asyncio.ensure_future(policy.call(gate.wait)))
        await bench.clock.settle()
    blocked.append(bench.breaker.blocked_for(clock=bench.clock))
    assert blocked == [0, 0, None]
    gate.set()
    await asyncio.wait(probes)
    assert bench.breaker.state == "closed"


@pytest.mark.parametrize("error", [None, OSError()])
async def test_calls_are_slow_by_how_long_they_took_and_not_by_when(error: Exception | None):
    bench = Bench(1.0, slow=5, minimum=2)
    bench.dependency.error = error
    await bench.clock.advance(100)
    if error:
        await bench.fail(1)
    else:
        await bench.succeed(3)
    assert bench.breaker.state == "closed"
    assert bench.breaker._circuit.phase.slow.counts(bench.clock.now())[0] == 0


async def test_who_waits_looks_once_after_each_change():
    class Watched(ManualClock):
        waits = 0

        async def wait(self, event: asyncio.Event, seconds: float) -> bool:
            self.waits += 1
            return await super().wait(event, seconds)

    bench, clock = Bench(), Watched()
    bench.breaker.isolate()
    waits = asyncio.ensure_future(bench.breaker.wait_ready(clock=clock))
    await clock.settle()
    bench.breaker._circuit.open_until(clock.now() + 9)
    bench.breaker.isolate()
    await clock.settle()
    assert clock.waits == 2
    bench.breaker.reset()
    await clock.settle()
    assert waits.done()


def test_it_shows_how_long_it_opens_at_the_most():
    assert repr(CircuitBreaker(open_cap=60)) == "CircuitBreaker(open_cap=60.0)"
    assert repr(CircuitBreaker(open_for=400)) == "CircuitBreaker(open_for=400.0)"
    shown = "CircuitBreaker(open_for=9.0, growth=2, open_cap=500.0)"
    assert repr(CircuitBreaker(open_for=9, growth=2, open_cap=500)) == shown


@pytest.mark.usefixtures("way")
async def test_a_success_ends_a_run_of_failures():
    breaker = CircuitBreaker(None, consecutive=2)
    steps = [OSError(), None] * 3

    def call_sync() -> None:
        if error := steps.pop(0):
            raise error

    async def call() -> None:
        call_sync()

    for guarded in (Policy(breaker)(call), Policy(breaker)(call_sync)):
        steps = [OSError(), None] * 3
        for _ in range(6):
            with contextlib.suppress(OSError):
                done: Any = guarded()
                await done if done is not None else None
        assert breaker.state == "closed"


async def test_who_listens_hears_of_it_though_no_line_is_logged(caplog: pytest.LogCaptureFixture):
    signals, heard = Signals(), list[CircuitChanged]()
    signals.listen(CircuitChanged, heard.append)
    caplog.set_level("CRITICAL", "isthmus.resilience")
    breaker = CircuitBreaker(consecutive=1)

    def fails() -> None:
        raise OSError

    with contextlib.suppress(OSError):
        Policy(breaker, signals=signals).call(fails)
    assert [(one.was, one.now) for one in heard] == [("closed", "open")]
    assert caplog.records == []
