from typing import Any

import pytest

from isthmus.clock import ManualClock
from isthmus.errors import ConfigError
from isthmus.resilience import CircuitBreaker, CircuitOpenError, Policy
from isthmus.resilience.shared import LocalState, SharedState, Versioned

pytestmark = pytest.mark.usefixtures("way")


class Process:
    """A breaker of its own, and what it calls."""

    def __init__(self, state: SharedState, clock: ManualClock):
        self.breaker = CircuitBreaker(
            consecutive=1, open_for=60, shared=state, refresh=1, name="stripe"
        )
        self.guarded = Policy(self.breaker, clock=clock)(self.run)
        self.error: Exception | None = None
        self.calls = 0

    async def run(self) -> str:
        self.calls += 1
        if self.error:
            raise self.error
        return "well"

    async def call(self, error: Exception | None = None) -> object:
        self.error = error
        try:
            return await self.guarded()
        except Exception as raised:  # noqa: BLE001
            return type(raised)


class Gone:
    """A store that is out of reach."""

    async def read(self, name: str) -> Versioned:
        raise ConnectionError

    async def write(self, *args: Any, **kwargs: Any) -> bool:
        raise ConnectionError


def two(state: SharedState | None = None) -> tuple[ManualClock, Process, Process]:
    clock = ManualClock()
    state = state or LocalState(clock=clock)
    return clock, Process(state, clock), Process(state, clock)


async def test_what_one_process_found_out_the_others_need_not_suffer():
    clock, one, other = two()
    assert await other.call() == "well"
    await one.call(ConnectionError())
    assert await other.call() == "well"  # it looked a moment ago
    await clock.advance(1)
    assert await other.call() is CircuitOpenError
    assert other.breaker.state == "open"
    assert other.breaker.blocked_for(clock=clock) == pytest.approx(59)


async def test_the_first_whose_probe_goes_well_closes_it_for_all():
    clock, one, other = two()
    await one.call(ConnectionError())
    assert await other.call() is CircuitOpenError
    await clock.advance(60)
    assert await one.call() == "well"
    assert other.breaker.state == "open"
    await clock.advance(1)
    assert await other.call() == "well"
    assert other.breaker.state == "closed"


async def test_one_isolated_by_hand_is_isolated_for_all_until_reset():
    clock, one, other = two()
    one.breaker.isolate()
    assert await one.call() is CircuitOpenError
    assert await other.call() is CircuitOpenError
    assert other.breaker.state == "isolated"
    one.breaker.reset()
    assert await one.call() == "well"
    await clock.advance(1)
    assert await other.call() == "well"


async def test_out_of_reach_each_goes_by_what_it_finds_out():
    clock, one, other = two(Gone())
    assert await one.call(ConnectionError()) is ConnectionError
    assert await one.call() is CircuitOpenError
    await clock.advance(10)
    assert await other.call() == "well"
    assert await one.call() is CircuitOpenError


async def test_one_that_opened_out_of_reach_is_not_closed_by_who_knows_nothing():
    clock, one, other = two()
    await other.call(ConnectionError())
    await clock.advance(60)
    await other.call()  # closed, and told so
    one.breaker.isolate()
    await one.call()
    assert one.breaker.state == "isolated"


def test_a_name_is_asked_for_and_a_blocking_call_refused():
    with pytest.raises(ConfigError, match="expected a name="):
        CircuitBreaker(shared=LocalState())
    with pytest.raises(ConfigError, match="refresh=0"):
        CircuitBreaker(shared=LocalState(), name="x", refresh=0)
    with pytest.raises(ConfigError, match="can't await"):
        Policy(CircuitBreaker(shared=LocalState(), name="x"))(lambda: 1)


async def test_that_a_circuit_opened_elsewhere_is_told_here():
    state, clock = LocalState(), ManualClock()
    ours, theirs = Process(state, clock), Process(state, clock)
    heard: list[tuple[str, str]] = []
    theirs.breaker.listen(lambda was, now: heard.append((was, now)))
    await ours.call(ConnectionError())
    assert await theirs.call() is CircuitOpenError
    assert heard == [("closed", "open")]


async def test_one_that_opened_here_stays_open_as_long_as_others_say_so():
    clock, one, other = two()
    await one.call(ConnectionError())
    for _ in range(3):
        await clock.advance(2)
        assert await one.call() is CircuitOpenError
        assert await other.call() is CircuitOpenError
