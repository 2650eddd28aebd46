import asyncio
import random
import threading
from collections.abc import Callable
from typing import Any

import pytest

from isthmus.clock import ManualClock
from isthmus.deadline import deadline, remaining
from isthmus.errors import ConfigError, TimedOutError
from isthmus.resilience.cache import Cache, RefreshFailed, StaleServed
from isthmus.resilience.degraded import degrading, note_degraded
from isthmus.resilience.outcome import Trail, trail
from isthmus.resilience.strategy import Site
from isthmus.signals import Signal, Signals


def site(clock: ManualClock, signals: Signals | None = None) -> Site:
    signals = signals or Signals()
    return Site("stock", clock, lambda _: None, lambda: 0.5, signals, idempotent=True)


class Supplier:
    """Answers with the number of the call, after it was let."""

    def __init__(self) -> None:
        self.calls = self.ended = 0
        self.error: Exception | None = None
        self.held: asyncio.Event | None = None
        self.value: Any = ...
        self.degraded = ""

    async def get(self, *args: Any, **kwargs: Any) -> Any:
        self.calls += 1
        number = self.calls
        try:
            if self.held is not None:
                await self.held.wait()
        finally:
            self.ended += 1
        return self._answer(number)

    def get_sync(self, *args: Any, **kwargs: Any) -> Any:
        self.calls += 1
        return self._answer(self.calls)

    def _answer(self, number: int) -> Any:
        if self.error is not None:
            raise self.error
        if self.degraded:
            note_degraded(self.degraded, "inside")
        return number if self.value is ... else self.value

    def hold(self) -> asyncio.Event:
        self.held = asyncio.Event()
        return self.held


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def supplier() -> Supplier:
    return Supplier()


def only_me() -> bool:
    return asyncio.all_tasks() == {asyncio.current_task()}


# --- fresh ----------------------------------------------------------------------------------


async def test_an_answer_is_given_again_until_its_time_is_over(
    clock: ManualClock, supplier: Supplier
):
    guarded = Cache(10).around(supplier.get, site(clock))
    assert [await guarded("a"), await guarded("a"), await guarded("b")] == [1, 1, 2]
    await clock.advance(9)
    assert await guarded("a") == 1
    await clock.advance(1)
    assert await guarded("a") == 3


async def test_arguments_tell_calls_apart_by_name_too(clock: ManualClock, supplier: Supplier):
    guarded = Cache(10).around(supplier.get, site(clock))
    assert await guarded("a", x=1, y=2) == 1
    assert await guarded("a", y=2, x=1) == 1
    assert await guarded("a", x=1, y=3) == 2


async def test_a_key_may_be_taken_of_the_arguments(clock: ManualClock, supplier: Supplier):
    guarded = Cache(10, key=len).around(supplier.get, site(clock))
    assert [await guarded([1]), await guarded([2]), await guarded([])] == [1, 1, 2]


async def test_arguments_that_cannot_be_hashed_are_refused(clock: ManualClock, supplier: Supplier):
    guarded = Cache(10).around(supplier.get, site(clock))
    with pytest.raises(ConfigError, match=r"Cache\(key=lambda order: order\.id\)"):
        await guarded([])
    assert supplier.calls == 0


async def test_two_functions_do_not_answer_for_each_other(clock: ManualClock, supplier: Supplier):
    cache, other = Cache(10), Supplier()
    other.value = "other"
    assert await cache.around(supplier.get, site(clock))("a") == 1
    assert await cache.around(other.get, site(clock))("a") == "other"


async def test_no_more_answers_are_kept_than_may_be(clock: ManualClock, supplier: Supplier):
    cache = Cache(10, most=2)
    guarded = cache.around(supplier.get, site(clock))
    for item in "abac":
        await guarded(item)
    assert len(cache) == 2
    assert [await guarded("a"), await guarded("b")] == [1, 4]


async def test_errors_are_not_kept(clock: ManualClock, supplier: Supplier):
    guarded = Cache(10).around(supplier.get, site(clock))
    supplier.error = OSError("away")
    for _ in range(2):
        with pytest.raises(OSError):
            await guarded("a")
    supplier.error = None
    assert await guarded("a") == 3


async def test_errors_are_kept_if_asked_to(clock: ManualClock, supplier: Supplier):
    guarded = Cache(10, errors=KeyError, negative=3).around(supplier.get, site(clock))
    supplier.error = KeyError("none")
    for _ in range(3):
        with pytest.raises(KeyError, match="none"):
            await guarded("a")
    assert supplier.calls == 1
    supplier.error = None
    await clock.advance(3)
    assert await guarded("a") == 2


async def test_nothing_may_be_kept_for_another_time_than_something(
    clock: ManualClock, supplier: Supplier
):
    supplier.value = None
    kept, shorter, never = (
        Cache(10, negative=negative).around(supplier.get, site(clock)) for negative in (None, 3, 0)
    )
    for guarded in (kept, kept, shorter, shorter):
        await guarded("a")
    assert supplier.calls == 2
    await never("a")
    await never("a")
    assert supplier.calls == 4
    await clock.advance(3)
    await shorter("a")
    await kept("a")
    assert supplier.calls == 5


async def test_a_degraded_answer_is_not_kept(clock: ManualClock, supplier: Supplier):
    guarded = Cache(10).around(supplier.get, site(clock))
    supplier.degraded = "prices"
    with degrading() as parts:
        assert await guarded("a") == 1
    assert parts == {"prices": "inside"}
    supplier.degraded = ""
    assert await guarded("a") == 2


# --- one call for all -----------------------------------------------------------------------


async def test_all_who_ask_at_once_share_one_call(clock: ManualClock, supplier: Supplier):
    held = supplier.hold()
    guarded = Cache(0).around(supplier.get, site(clock))
    tasks = [asyncio.ensure_future(guarded("a")) for _ in range(10)]
    await clock.settle()
    held.set()
    assert await asyncio.gather(*tasks) == [1] * 10
    assert await guarded("a") == 2  # and nothing was kept
    assert only_me()


async def test_all_who_ask_at_once_share_its_error(clock: ManualClock, supplier: Supplier):
    held, supplier.error = supplier.hold(), OSError("away")
    guarded = Cache(10).around(supplier.get, site(clock))
    tasks = [asyncio.ensure_future(guarded("a")) for _ in range(3)]
    await clock.settle()
    held.set()
    assert await asyncio.gather(*tasks, return_exceptions=True) == [supplier.error] * 3
    assert supplier.calls == 1


async def test_who_began_it_may_leave_and_the_others_get_the_answer(
    clock: ManualClock, supplier: Supplier
):
    held = supplier.hold()
    guarded = Cache(10).around(supplier.get, site(clock))
    first, second = (asyncio.ensure_future(guarded("a")) for _ in range(2))
    await clock.settle()
    first.cancel()
    await clock.settle()
    assert first.cancelled()
    held.set()
    assert await second == 1
    assert supplier.calls == 1


async def test_a_call_that_nobody_waits_for_any_more_is_ended(
    clock: ManualClock, supplier: Supplier
):
    supplier.hold()
    guarded = Cache(10).around(supplier.get, site(clock))
    tasks = [asyncio.ensure_future(guarded("a")) for _ in range(3)]
    await clock.settle()
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    assert supplier.ended == 1
    assert only_me()


async def test_a_call_that_is_ended_is_joined_by_nobody(clock: ManualClock, supplier: Supplier):
    held = supplier.hold()
    guarded = Cache(10).around(supplier.get, site(clock))
    first = asyncio.ensure_future(guarded("a"))
    await clock.settle()
    first.cancel()
    second = asyncio.ensure_future(guarded("a"))
    await clock.settle()
    held.set()
    assert await second in {1, 2}
    assert first.cancelled()


async def test_who_joined_a_call_that_cancelled_itself_makes_its_own(clock: ManualClock):
    calls, held = [], asyncio.Event()

    async def get() -> int:
        calls.append(1)
        await held.wait()
        if len(calls) == 1:
            raise asyncio.CancelledError
        return len(calls)

    guarded = Cache(10).around(get, site(clock))
    first, second = (asyncio.ensure_future(guarded()) for _ in range(2))
    await clock.settle()
    held.set()
    assert await second == 2
    assert first.cancelled()


async def test_who_has_more_time_than_who_began_it_makes_its_own(clock: ManualClock):
    calls, held = [], asyncio.Event()

    async def get() -> float | None:
        calls.append(1)
        if len(calls) == 1:
            await held.wait()
            raise TimedOutError("over")
        return remaining()

    guarded = Cache(10).around(get, site(clock))

    async def within(seconds: float) -> Any:
        with deadline(seconds, clock=clock):
            return await guarded()

    short, equal, longer = (asyncio.ensure_future(within(span)) for span in (1, 1, 60))
    await clock.settle()
    held.set()
    assert await longer == 60
    for task in (short, equal):
        with pytest.raises(TimedOutError):
            await task


async def test_all_who_share_a_call_see_that_it_is_degraded(clock: ManualClock, supplier: Supplier):
    held, supplier.degraded = supplier.hold(), "prices"
    guarded = Cache(10).around(supplier.get, site(clock))

    async def ask() -> dict[str, str]:
        with degrading() as parts:
            await guarded("a")
        return parts

    tasks = [asyncio.ensure_future(ask()) for _ in range(2)]
    await clock.settle()
    held.set()
    assert await asyncio.gather(*tasks) == [{"prices": "inside"}] * 2


@pytest.mark.parametrize("seed", range(5))
async def test_many_calls_cancelled_at_random_leave_nothing_behind(clock: ManualClock, seed: int):
    chance = random.Random(seed)

    async def get(key: int) -> int:
        await clock.sleep(chance.random())
        if chance.random() < 0.3:
            raise OSError("away")
        return key

    async with Cache(0.5, stale=0.5, stale_if_error=1) as cache:
        guarded = cache.around(get, site(clock))
        tasks = [asyncio.ensure_future(guarded(chance.randrange(5))) for _ in range(300)]
        for task in tasks:
            await clock.advance(chance.random() * 0.02)
            if chance.random() < 0.5:
                task.cancel()
            tasks.append(asyncio.ensure_future(guarded(1))) if chance.random() < 0.1 else None
        await clock.advance(3)
        done = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(isinstance(one, int | OSError | asyncio.CancelledError) for one in done)
    assert only_me()
    assert len(cache._flights) == 0


# --- stale ----------------------------------------------------------------------------------


async def test_a_stale_answer_is_given_while_a_new_one_is_got(
    clock: ManualClock, supplier: Supplier
):
    async with Cache(10, stale=5) as cache:
        guarded = cache.around(supplier.get, site(clock))
        await guarded("a")
        await clock.advance(12)
        held = supplier.hold()
        with degrading() as parts:
            assert [await guarded("a"), await guarded("a")] == [1, 1]
        assert parts == {}
        held.set()
        await clock.settle()
        assert await guarded("a") == 2
        assert supplier.calls == 2


async def test_an_answer_that_is_too_stale_is_waited_for(clock: ManualClock, supplier: Supplier):
    guarded = Cache(10, stale=5).around(supplier.get, site(clock))
    await guarded("a")
    await clock.advance(15)
    assert await guarded("a") == 2


async def test_a_renewal_runs_without_the_callers_deadline_and_out_of_its_sight(clock: ManualClock):
    seen: list[Any] = []

    async def get() -> int:
        seen.append((remaining(), trail.get() is None))
        if len(seen) > 1:
            note_degraded("prices")
        return len(seen)

    cache = Cache(1, stale=50)
    guarded = cache.around(get, site(clock))
    await guarded()
    await clock.advance(2)
    key = trail.set(Trail())
    with deadline(3, clock=clock), degrading() as parts:
        assert await guarded() == 1
        await clock.settle()
    trail.reset(key)
    assert seen[1] == (None, True)
    assert parts == {}


async def test_a_renewal_that_fails_is_told_and_the_answer_then_degraded(
    clock: ManualClock, supplier: Supplier
):
    heard: list[Signal] = []
    signals = Signals()
    signals.listen(Signal, heard.append)
    async with Cache(10, stale=50) as cache:
        guarded = cache.around(supplier.get, site(clock, signals))
        await guarded("a")
        await clock.advance(12)
        supplier.error = OSError("away")
        assert await guarded("a") == 1
        await clock.settle()
        with degrading() as parts:
            assert await guarded("a") == 1
        assert parts == {"stock": "OSError"}
        await clock.settle()
        assert {type(one) for one in heard} == {RefreshFailed}
        supplier.error = None
        await guarded("a")
        await clock.settle()
        with degrading() as parts:
            assert await guarded("a") == supplier.calls
        assert parts == {}


async def test_closing_ends_what_is_got_behind_its_users_backs(
    clock: ManualClock, supplier: Supplier
):
    async with Cache(10, stale=5) as cache:
        guarded = cache.around(supplier.get, site(clock))
        await guarded("a")
        await clock.advance(12)
        supplier.hold()
        await guarded("a")
        await clock.settle()
        assert not only_me()
    assert only_me()
    assert (supplier.calls, supplier.ended) == (2, 2)


async def test_who_joins_a_renewal_and_leaves_does_not_end_it(
    clock: ManualClock, supplier: Supplier
):
    async with Cache(10, stale=5) as cache:
        guarded = cache.around(supplier.get, site(clock))
        await guarded("a")
        await clock.advance(12)
        held = supplier.hold()
        await guarded("a")
        await clock.advance(5)
        joined = asyncio.ensure_future(guarded("a"))
        await clock.settle()
        joined.cancel()
        held.set()
        await clock.settle()
        assert await guarded("a") == 2


async def test_a_stale_answer_is_given_in_place_of_an_error_and_is_degraded(
    clock: ManualClock, supplier: Supplier
):
    heard: list[StaleServed] = []
    signals = Signals()
    signals.listen(StaleServed, heard.append)
    guarded = Cache(10, stale_if_error=60, name="price").around(supplier.get, site(clock, signals))
    await guarded("a")
    supplier.error = OSError("away")
    await clock.advance(69)
    told = Trail()
    key = trail.set(told)
    with degrading() as parts:
        assert await guarded("a") == 1
    trail.reset(key)
    assert parts == {"price": "OSError"}
    assert (told.ended_by, told.degraded) == ("cache", ["price"])
    assert [(one.call, one.age, one.error) for one in heard] == [("get", 69, "OSError")]
    await clock.advance(1)
    with pytest.raises(OSError):
        await guarded("a")


# --- by hand --------------------------------------------------------------------------------


async def test_what_is_forgotten_is_asked_for_again(clock: ManualClock, supplier: Supplier):
    cache = Cache(10)
    guarded = cache.around(supplier.get, site(clock))
    await guarded("a", x=1)
    await guarded("b")
    cache.forget("a", x=1)
    assert [await guarded("a", x=1), await guarded("b")] == [3, 2]
    cache.clear()
    assert await guarded("b") == 4


async def test_an_answer_asked_for_before_it_was_forgotten_is_not_kept(
    clock: ManualClock, supplier: Supplier
):
    cache, held = Cache(10), supplier.hold()
    guarded = cache.around(supplier.get, site(clock))
    before = asyncio.ensure_future(guarded("a"))
    await clock.settle()
    cache.forget("a")
    after = asyncio.ensure_future(guarded("a"))
    await clock.settle()
    held.set()
    assert [await before, await after, await guarded("a")] == [1, 2, 2]


async def test_other_options_keep_the_answers(clock: ManualClock, supplier: Supplier):
    cache = Cache(10)
    guarded = cache.around(supplier.get, site(clock))
    await guarded("a")
    await guarded("b")
    cache.adopt(Cache(60, most=1))
    assert len(cache) == 1
    await clock.advance(9)
    assert await guarded("b") == 2
    await clock.advance(1)
    assert await guarded("b") == 3
    await clock.advance(59)
    assert await guarded("b") == 3


# --- sync -----------------------------------------------------------------------------------


def test_a_sync_answer_is_given_again(clock: ManualClock, supplier: Supplier):
    cache = Cache(10, errors=KeyError)
    guarded = cache.around_sync(supplier.get_sync, site(clock))
    assert [guarded("a"), guarded("a"), guarded("b")] == [1, 1, 2]
    cache.forget("a")
    assert guarded("a") == 3
    supplier.error = KeyError("none")
    for _ in range(2):
        with pytest.raises(KeyError):
            guarded("c")
    assert supplier.calls == 4


class Held:
    """A sync call that waits until it is let."""

    def __init__(self) -> None:
        self.calls, self.go, self.began = 0, threading.Event(), threading.Event()
        self.error: BaseException | None = None

    def get(self) -> int:
        self.calls += 1
        number = self.calls
        self.began.set()
        assert self.go.wait(10)
        if self.error is not None and number == 1:
            raise self.error
        return number


def asked_by(threads: int, call: Callable[[], Any]) -> tuple[list[threading.Thread], list[Any]]:
    results: list[Any] = []

    def ask() -> None:
        try:
            results.append(call())
        except BaseException as error:  # noqa: BLE001
            results.append(error)

    started = [threading.Thread(target=ask) for _ in range(threads)]
    for thread in started:
        thread.start()
    return started, results


def test_threads_that_ask_at_once_share_one_call(clock: ManualClock):
    held = Held()
    threads, results = asked_by(8, Cache(10).around_sync(held.get, site(clock)))
    held.go.set()
    for thread in threads:
        thread.join()
    assert results == [1] * 8
    assert held.calls == 1


def test_threads_that_ask_at_once_share_its_error(clock: ManualClock):
    held = Held()
    held.error = OSError("away")
    cache = Cache(10)
    guarded = cache.around_sync(held.get, site(clock))
    [first], results = asked_by(1, guarded)
    assert held.began.wait(10)
    threads, others = asked_by(3, guarded)
    held.go.set()
    for thread in [first, *threads]:
        thread.join()
    assert results == [held.error]
    assert all(one in (held.error, 2) for one in others)
    assert held.calls <= 2


def test_a_thread_that_is_killed_while_it_asks_leaves_it_to_another(clock: ManualClock):
    held = Held()
    held.error = KeyboardInterrupt()
    guarded = Cache(10).around_sync(held.get, site(clock))
    [first], results = asked_by(1, guarded)
    assert held.began.wait(10)
    threads, others = asked_by(3, guarded)
    held.go.set()
    for thread in [first, *threads]:
        thread.join()
    assert results == [held.error]
    assert others == [2, 2, 2]


async def test_the_first_thread_that_finds_it_stale_gets_the_new_one_and_others_the_old(
    clock: ManualClock,
):
    held = Held()
    held.go.set()
    guarded = Cache(10, stale=5).around_sync(held.get, site(clock))
    assert guarded() == 1
    await clock.advance(12)
    held.go.clear()
    held.began.clear()
    [thread], results = asked_by(1, guarded)
    assert held.began.wait(10)
    assert guarded() == 1
    held.go.set()
    thread.join()
    assert results == [2]
    assert guarded() == 2


async def test_a_sync_answer_stands_in_for_an_error(clock: ManualClock, supplier: Supplier):
    guarded = Cache(10, stale_if_error=60).around_sync(supplier.get_sync, site(clock))
    guarded("a")
    supplier.error = OSError("away")
    await clock.advance(69)
    with degrading() as parts:
        assert guarded("a") == 1
    assert parts == {"stock": "OSError"}
    await clock.advance(1)
    with pytest.raises(OSError):
        guarded("a")


def test_a_sync_answer_that_was_forgotten_meanwhile_is_not_kept(clock: ManualClock):
    held, cache = Held(), Cache(10)
    guarded = cache.around_sync(held.get, site(clock))
    [thread], results = asked_by(1, guarded)
    assert held.began.wait(10)
    cache.clear()
    held.go.set()
    thread.join()
    assert results == [1]
    assert guarded() == 2


# --- options --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        {"ttl": -1},
        {"ttl": 1, "stale": -1},
        {"ttl": 1, "stale_if_error": float("inf")},
        {"ttl": 1, "negative": -1},
        {"ttl": 1, "most": 0},
        {"ttl": 1, "errors": KeyboardInterrupt},
    ],
)
def test_an_option_out_of_range_is_refused(options: dict[str, Any]):
    with pytest.raises(ConfigError, match="expected"):
        Cache(**options)


def test_its_options_make_another_like_it():
    made = Cache(4, stale=1, stale_if_error=2, key=str, most=7, negative=1, name="p")
    assert Cache(**made.options()).options() == made.options()
    assert repr(Cache(**made.options())) == repr(made)


def test_it_shows_what_it_was_made_with():
    assert repr(Cache(10)) == "Cache(10)"
    shown = "Cache(10, stale=1, stale_if_error=2, negative=0, most=7, name='x')"
    assert repr(Cache(10, stale=1, stale_if_error=2, negative=0, most=7, name="x")) == shown


async def test_of_nothing_that_is_fresh_for_no_time_nothing_is_kept(
    clock: ManualClock, supplier: Supplier
):
    cache = Cache(0, stale_if_error=10)
    guarded = cache.around(supplier.get, site(clock))
    supplier.value = None
    await guarded("a")
    assert len(cache) == 0
    supplier.value = 7
    await guarded("a")
    assert len(cache) == 1


async def test_nothing_is_kept_as_long_as_something(clock: ManualClock, supplier: Supplier):
    guarded = Cache(0.5).around(supplier.get, site(clock))
    supplier.value = None
    await guarded("a")
    await guarded("a")
    assert supplier.calls == 1


# --- within itself --------------------------------------------------------------------------

OWN = r"Cache: what gets the answer to \('a',\) asks the cache for it again"


@pytest.mark.parametrize("beside", [False, True], ids=["awaited", "in a task"])
async def test_an_answer_that_asks_for_itself_is_refused(clock: ManualClock, *, beside: bool):
    calls: list[str] = []

    async def get(key: str) -> str:
        calls.append(key)
        again = guarded("b" if key == "a" else "a")
        return await (asyncio.ensure_future(again) if beside else again)

    guarded = Cache(10).around(get, site(clock))
    with pytest.raises(ConfigError, match=OWN):
        await asyncio.wait_for(guarded("a"), 10)
    assert calls == ["a", "b"]
    assert only_me()


def test_a_sync_answer_that_asks_for_itself_is_refused(clock: ManualClock):
    calls: list[str] = []

    def get(key: str) -> str:
        calls.append(key)
        return guarded("b" if key == "a" else "a")

    guarded = Cache(10).around_sync(get, site(clock))
    for _ in range(2):
        with pytest.raises(ConfigError, match=OWN):
            guarded("a")
    assert calls == ["a", "b"] * 2


async def test_an_answer_may_be_made_of_answers_to_other_questions(clock: ManualClock):
    async def double(n: int) -> int:
        return 2 * await guarded(n - 1) if n else 1

    def double_sync(n: int) -> int:
        return 2 * guarded_sync(n - 1) if n else 1

    cache = Cache(10)
    guarded, guarded_sync = (
        cache.around(double, site(clock)),
        cache.around_sync(double_sync, site(clock)),
    )
    assert [await guarded(10), await guarded(10), await guarded(11)] == [1024, 1024, 2048]
    assert [guarded_sync(10), guarded_sync(10), guarded_sync(11)] == [1024, 1024, 2048]


async def test_what_an_answer_left_running_may_ask_for_it_later(clock: ManualClock):
    left: list[asyncio.Task[int]] = []
    go = asyncio.Event()

    async def later() -> int:
        await go.wait()
        return await guarded("a")

    async def get(key: str) -> int:
        left.append(asyncio.ensure_future(later()))
        return len(left)

    guarded = Cache(10).around(get, site(clock))
    assert await guarded("a") == 1
    await clock.advance(10)
    go.set()
    assert await left[0] == 2
    assert await left[1] == 2


async def test_what_is_renewed_behind_an_answer_may_wait_for_it(clock: ManualClock):
    """Nobody waits for the renewal, so that it waits for nobody who waits for it."""
    asked: list[str] = []

    async def get(key: str) -> str:
        asked.append(key)
        if asked.count(key) == 1:
            return f"a {key}"
        if key == "part":
            return f"part of {await guarded('page')}"
        part = await guarded("part")
        await clock.settle()
        return f"page with {part}"

    async with Cache(10, stale=10) as cache:
        guarded = cache.around(get, site(clock))
        assert [await guarded("page"), await guarded("part")] == ["a page", "a part"]
        cache.forget("page")
        await clock.advance(10)
        assert await guarded("page") == "page with a part"
        await clock.settle()
        assert await guarded("part") == "part of page with a part"
