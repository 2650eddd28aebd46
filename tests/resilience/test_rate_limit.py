import asyncio
import threading
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus.clock import ManualClock
from isthmus.deadline import deadline
from isthmus.errors import ConfigError, UnavailableError
from isthmus.resilience.errors import NotCalledError
from isthmus.resilience.facts import CallRejected
from isthmus.resilience.rate_limit import RateLimit, RateLimitedError
from isthmus.resilience.shared import LocalState, SharedStateLost, Versioned
from isthmus.resilience.strategy import Site
from isthmus.signals import Signals

gaps = st.lists(st.floats(0, 3), max_size=60)


def site(clock: ManualClock, signals: Signals | None = None, paused: Any = None) -> Site:
    pause = paused.append if paused is not None else (lambda _: None)
    return Site("pay", clock, pause, lambda: 0.5, signals or Signals(), idempotent=True)


async def answer(*args: Any) -> str:
    return "ok"


@given(st.sampled_from(["token bucket", "sliding window"]), st.integers(1, 20), gaps)
def test_who_comes_back_when_told_is_let_through(algorithm: Any, rate: int, gaps: list[float]):
    limit, now = RateLimit(rate, 2, algorithm=algorithm), 1_700_000_000.0
    for gap in gaps:
        now += gap
        if wait := limit.allow(now=now):
            now += wait
            assert limit.allow(now=now) == 0


# --- per key --------------------------------------------------------------------------------


def test_each_key_has_the_whole_allowance():
    limit = RateLimit(1, 10)
    assert [limit.allow("ann", now=0), limit.allow("bob", now=0)] == [0, 0]
    assert limit.allow("ann", now=1) == pytest.approx(9)


def test_no_more_keys_are_remembered_than_may_be():
    limit = RateLimit(1, 1000, keys=3)
    for key in "abcd":
        limit.allow(key, now=0)
    assert len(limit._meters) == 3
    assert limit.allow("d", now=0) > 0
    assert limit.allow("a", now=0) == 0  # the one that came first was forgotten


def test_a_key_that_is_used_is_not_forgotten():
    limit = RateLimit(1, 1000, keys=2)
    for key in "abac":
        limit.allow(key, now=0)
    assert limit.allow("a", now=0) > 0


# --- around calls ---------------------------------------------------------------------------


async def test_a_call_above_the_rate_is_not_made():
    made = []

    async def call(order: str) -> None:
        made.append(order)

    clock, signals = ManualClock(), Signals()
    heard: list[CallRejected] = []
    signals.listen(CallRejected, heard.append)
    guarded = RateLimit(2, 10).around(call, site(clock, signals))
    await guarded("a")
    await guarded("b")
    with pytest.raises(RateLimitedError, match="pay: more than 2 calls in 10 s") as caught:
        await guarded("c")
    assert made == ["a", "b"]
    assert caught.value.retry_after == pytest.approx(5)
    assert isinstance(caught.value, NotCalledError)
    assert caught.value.retryable
    assert [(one.by, one.call, one.policy) for one in heard] == [("rate limit", "call", "pay")]


async def test_a_key_is_taken_from_the_arguments():
    guarded = RateLimit(1, 10, key=lambda order: order[0]).around(answer, site(ManualClock()))
    await guarded("ann")
    await guarded("bob")
    with pytest.raises(RateLimitedError):
        await guarded("ada")


async def test_calls_wait_their_turn_one_after_the_other():
    clock, moments = ManualClock(start=0), []

    async def call() -> None:
        moments.append(round(clock.now(), 3))

    guarded = RateLimit(1, 1, wait=10).around(call, site(clock))
    tasks = [asyncio.ensure_future(guarded()) for _ in range(4)]
    await clock.advance(10)
    await asyncio.gather(*tasks)
    assert moments == [0, 1, 2, 3]


async def test_a_call_that_would_wait_too_long_is_refused_at_once():
    clock = ManualClock()
    guarded = RateLimit(1, 10, wait=5).around(answer, site(clock))
    await guarded()
    with pytest.raises(RateLimitedError):
        await guarded()
    assert clock.sleepers == 0


async def test_nobody_waits_longer_than_their_deadline():
    clock = ManualClock()
    guarded = RateLimit(1, 10, wait=60).around(answer, site(clock))
    await guarded()
    with deadline(3, clock=clock), pytest.raises(RateLimitedError):
        await guarded()


async def test_a_cancelled_wait_calls_nothing_and_leaves_the_others_their_turn():
    clock, made = ManualClock(start=0), []

    async def call(name: str) -> None:
        made.append((name, round(clock.now(), 3)))

    guarded = RateLimit(1, 1, wait=10).around(call, site(clock))
    await guarded("a")
    b, c = (asyncio.ensure_future(guarded(name)) for name in "bc")
    await clock.settle()
    b.cancel()
    await clock.advance(5)
    await c
    assert b.cancelled()
    assert made == [("a", 0), ("c", 2)]


def test_threads_share_the_allowance():
    made = []
    guarded = RateLimit(50, 1000).around_sync(made.append, site(ManualClock()))

    def many() -> None:
        for _ in range(40):
            with suppress(RateLimitedError):
                guarded(1)

    threads = [threading.Thread(target=many) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 50


def test_a_sync_call_pauses_for_its_turn():
    paused: list[float] = []
    guarded = RateLimit(1, 4, wait=60).around_sync(lambda: 1, site(ManualClock(), paused=paused))
    assert [guarded(), guarded()] == [1, 1]
    assert paused == [pytest.approx(4)]


# --- shared ---------------------------------------------------------------------------------


async def test_processes_that_share_a_name_share_the_allowance():
    state, clock = LocalState(), ManualClock()
    ours, theirs = (RateLimit(3, 10, shared=state, name="p", clock=clock) for _ in range(2))
    assert [await ours.allow_shared(), await theirs.allow_shared()] == [0, 0]
    assert await ours.allow_shared() == 0
    assert await theirs.allow_shared() == pytest.approx(10 / 3)


async def test_who_waits_waits_for_the_turn_among_all():
    state, clock, moments = LocalState(), ManualClock(start=0), []

    async def call() -> None:
        moments.append(round(clock.now(), 3))

    limits = [RateLimit(1, 1, wait=9, shared=state, name="p", clock=clock) for _ in range(3)]
    tasks = [asyncio.ensure_future(one.around(call, site(clock))()) for one in limits]
    await clock.advance(5)
    await asyncio.gather(*tasks)
    assert moments == [0, 1, 2]


class Unreachable:
    def __init__(self) -> None:
        self.asked = 0

    async def read(self, name: str) -> Versioned:
        self.asked += 1
        raise UnavailableError("away")

    async def write(self, *args: Any, **kwargs: Any) -> bool:
        raise AssertionError


async def test_out_of_reach_of_the_others_a_process_counts_for_itself():
    away, clock, signals = Unreachable(), ManualClock(), Signals()
    heard: list[SharedStateLost] = []
    signals.listen(SharedStateLost, heard.append)
    limit = RateLimit(2, 10, shared=away, name="p", clock=clock)
    guarded = limit.around(answer, site(clock, signals))
    assert [await guarded(), await guarded()] == ["ok", "ok"]
    with pytest.raises(RateLimitedError):
        await guarded()
    assert [one.error for one in heard] == ["UnavailableError"]
    assert away.asked == 1  # and is left alone for a while


def test_a_sync_call_cannot_ask_other_processes():
    limit = RateLimit(1, shared=LocalState(), name="p")
    with pytest.raises(ConfigError, match="make it async, or leave out shared"):
        limit.around_sync(lambda: 1, site(ManualClock()))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"rate": 0}, r"RateLimit\(rate=0\): expected more than 0"),
        ({"rate": 1, "per": 0}, r"per=0"),
        ({"rate": 1, "burst": 0}, r"burst=0"),
        ({"rate": 1.5, "algorithm": "sliding window"}, "whole number"),
        ({"rate": 1, "burst": 2, "algorithm": "sliding window"}, "no burst"),
        ({"rate": 1, "algorithm": "leaky"}, "token bucket or sliding window"),
        ({"rate": 1, "wait": -1}, "wait=-1"),
        ({"rate": 1, "keys": 0}, "keys=0"),
        ({"rate": 1, "shared": LocalState()}, "name=''"),
    ],
)
def test_an_option_out_of_range_is_refused(options: dict[str, Any], said: str):
    with pytest.raises(ConfigError, match=said):
        RateLimit(**options)


def test_other_options_keep_what_was_counted():
    limit = RateLimit(2, 10, key=str)
    assert [limit.allow("a", now=0), limit.allow("a", now=0)] == [0, 0]
    limit.adopt(RateLimit(10, 10, keys=1, wait=3))
    assert (limit.wait, limit.key) == (3, str)
    assert limit.allow("a", now=0) == pytest.approx(1)
    limit.allow("b", now=0)
    assert len(limit._meters) == 1
    limit.adopt(RateLimit(1, 10, algorithm="sliding window"))
    assert limit.allow("a", now=0) == 0
    assert limit.allow("a", now=0) == pytest.approx(10)


def test_its_options_make_another_like_it():
    made = RateLimit(4, 10, burst=7, key=str, wait=2, keys=5, name="p")
    assert RateLimit(**made.options()).options() == made.options()
    assert repr(RateLimit(**made.options())) == repr(made)


def test_a_burst_that_was_not_said_follows_the_rate():
    limit = RateLimit(2)
    options: dict[str, Any] = limit.options() | {"rate": 50}
    assert RateLimit(**options).burst == 50


async def test_a_key_that_cannot_be_hashed_is_refused_with_the_way_out():
    limit = RateLimit(1, key=lambda order: [order])  # type: ignore[arg-type, return-value]
    with pytest.raises(ConfigError, match=r"can't be hashed .*as key=lambda order"):
        await limit.around(answer, site(ManualClock()))("a")


def test_a_blocking_call_that_may_not_wait_is_refused_at_once():
    paused: list[float] = []
    guarded = RateLimit(2, 1, burst=1).around_sync(lambda: "ok", site(ManualClock(), paused=paused))
    assert guarded() == "ok"
    with pytest.raises(RateLimitedError):
        guarded()
    assert paused == []


@pytest.mark.parametrize("wrong", [0, -1, float("inf"), float("nan")])
def test_a_rate_of_none_or_without_end_is_refused(wrong: float):
    with pytest.raises(ConfigError, match=r"RateLimit\(rate=.*\): expected more than 0"):
        RateLimit(wrong)
