import asyncio
import threading
import time
from contextlib import suppress
from typing import Any

import pytest

from isthmus.clock import ManualClock
from isthmus.deadline import deadline, deadline_headers, deadline_in, remaining
from isthmus.errors import ConfigError, TimedOutError
from isthmus.resilience import DeadlinePassedError, NotCalledError, Policy, Timeout
from isthmus.resilience.facts import CallTimedOut
from isthmus.resilience.wheel import GRAIN, wheel_of
from isthmus.signals import Signals

pytestmark = pytest.mark.usefixtures("way")

both = pytest.mark.parametrize("precise", [False, True], ids=["wheel", "precise"])


async def forever() -> None:
    await asyncio.get_running_loop().create_future()


def guarded(fn: Any, span: float = 0.02, **options: Any) -> Any:
    return Policy(Timeout(span, **options), name="pay")(fn)


@both
async def test_a_call_that_takes_too_long_is_cancelled_and_may_have_had_its_effect(precise: bool):
    ended = []

    async def slow() -> None:
        try:
            await forever()
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise

    began = time.monotonic()
    with pytest.raises(TimedOutError, match=r"pay: slow did not answer within 0.02 s"):
        await guarded(slow, precise=precise)()
    assert time.monotonic() - began >= 0.02
    assert ended == ["cancelled"]
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


@both
async def test_a_call_in_time_returns_what_it_returned(precise: bool):
    async def quick(x: int) -> int:
        return x

    assert await guarded(quick, precise=precise)(3) == 3


@both
async def test_a_cancel_from_outside_stays_a_cancel(precise: bool):
    task = asyncio.ensure_future(guarded(forever, 60, precise=precise)())
    await asyncio.tasks.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@both
async def test_a_cancel_from_outside_at_the_moment_of_expiry_stays_a_cancel(precise: bool):
    async def cancelled_as_it_expires() -> None:
        task = asyncio.current_task()
        assert task is not None
        while not task.cancelling():  # until the expiry has been asked for
            await YieldOnce()

    class YieldOnce:
        def __await__(self):
            try:
                yield
            except asyncio.CancelledError:
                task = asyncio.current_task()
                assert task is not None
                task.cancel()  # from outside, in the same turn of the loop
                raise

    task = asyncio.ensure_future(guarded(cancelled_as_it_expires, precise=precise)())
    with pytest.raises(asyncio.CancelledError):
        await task
    assert task.cancelled()


@both
async def test_an_expiry_while_a_cancelled_call_cleans_up_stays_a_cancel(precise: bool):
    cleaning = asyncio.Event()

    async def cleans_up() -> None:
        try:
            await forever()
        finally:
            cleaning.set()
            await forever()

    task = asyncio.ensure_future(guarded(cleans_up, precise=precise)())
    await asyncio.tasks.sleep(0)
    task.cancel()
    await cleaning.wait()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert task.cancelled()


@both
async def test_a_call_within_clean_up_after_a_cancel_times_out_as_usual(precise: bool):
    seen = []

    async def cancelled() -> None:
        try:
            await forever()
        except asyncio.CancelledError:
            with pytest.raises(TimedOutError):
                await guarded(forever, precise=precise)()
            seen.append("timed out")
            raise

    task = asyncio.ensure_future(cancelled())
    await asyncio.tasks.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert seen == ["timed out"]


@both
async def test_of_nested_timeouts_the_shorter_one_speaks(precise: bool):
    inner = guarded(forever, 0.02, precise=precise)

    async def call() -> str:
        with pytest.raises(TimedOutError, match=r"within 0.02 s"):
            await inner()
        return "went on"

    assert await guarded(call, 60, precise=precise)() == "went on"


@both
async def test_an_outer_timeout_cuts_through_an_inner_one(precise: bool):
    inner = guarded(forever, 60, precise=precise)

    async def call() -> None:
        await inner()

    with pytest.raises(TimedOutError) as raised:
        await guarded(call, 0.02, precise=precise)()
    assert "within 0.0" in str(raised.value)


@both
async def test_a_shielded_part_goes_on(precise: bool):
    done = asyncio.Event()

    async def part() -> str:
        await done.wait()
        return "finished"

    async def call() -> None:
        await asyncio.shield(shielded)

    shielded = asyncio.ensure_future(part())
    with pytest.raises(TimedOutError):
        await guarded(call, precise=precise)()
    done.set()
    assert await shielded == "finished"


@both
async def test_a_call_that_swallows_its_cancelling_and_returns_has_returned(precise: bool):
    async def stubborn() -> str:
        with suppress(asyncio.CancelledError):
            await forever()
        return "still here"

    assert await guarded(stubborn, precise=precise)() == "still here"
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


@both
async def test_an_error_raised_while_it_is_cut_off_is_the_error(precise: bool):
    async def fails() -> None:
        try:
            await forever()
        finally:
            raise KeyError("x")

    with pytest.raises(KeyError):
        await guarded(fails, precise=precise)()
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_a_timeout_of_the_calls_own_passes_through():
    async def fails() -> None:
        raise TimeoutError("its own")

    for precise in (False, True):
        with pytest.raises(TimeoutError, match="its own"):
            await guarded(fails, precise=precise)()


async def test_inside_the_deadline_is_in_force_and_travels():
    async def inside() -> tuple[float, float]:
        return remaining(0.0), deadline_in(deadline_headers())

    left, at = await guarded(inside, 30)()
    assert 29 < left <= 30
    assert time.time() + 29 < at < time.time() + 31
    assert remaining() is None


async def test_the_callers_nearer_deadline_bounds_it():
    with deadline(0.02), pytest.raises(TimedOutError):
        await guarded(forever, 60)()


async def test_a_farther_deadline_of_the_caller_does_not():
    async def inside() -> float:
        return remaining(0.0)

    with deadline(60):
        assert await guarded(inside, 30)() <= 30
        assert 59 < remaining(0.0) <= 60


async def test_nothing_is_called_after_the_callers_deadline():
    called = []

    async def call() -> None:
        called.append(1)

    for precise in (False, True):
        with deadline(0), pytest.raises(DeadlinePassedError, match=r"was not called") as refused:
            await guarded(call, precise=precise)()
        assert isinstance(refused.value, NotCalledError)
    assert called == []


async def test_a_virtual_clock_decides():
    clock = ManualClock()
    call = Policy(Timeout(30), clock=clock)(forever)
    task = asyncio.ensure_future(call())
    await clock.advance(29.9)
    assert not task.done()
    await clock.advance(0.1)
    with pytest.raises(TimedOutError):
        await task
    assert clock.sleepers == 0
    assert len(asyncio.all_tasks()) == 1


async def test_on_a_virtual_clock_the_deadline_is_that_clocks():
    clock = ManualClock()

    async def inside() -> tuple[float | None, dict[str, str]]:
        await clock.advance(10)
        return remaining(), deadline_headers()

    left, headers = await Policy(Timeout(30), clock=clock)(inside)()
    assert left == 20
    assert deadline_in(headers) == clock.now() + 20


async def test_a_cut_off_is_told():
    signals = Signals()
    heard: list[CallTimedOut] = []
    signals.listen(CallTimedOut, heard.append)
    call = Policy(Timeout(0.01), name="pay", signals=signals)(forever)
    with pytest.raises(TimedOutError):
        await call()
    assert heard == [CallTimedOut(policy="pay", call="forever", timeout=0.01)]


async def test_a_thousand_calls_leave_no_entry_and_no_timer():
    async def quick() -> None:
        await asyncio.tasks.sleep(0)

    call = guarded(quick, 30)
    await asyncio.gather(*(call() for _ in range(1000)))
    loop = asyncio.get_running_loop()
    wheel = wheel_of(loop)
    assert len(wheel) == 0
    while wheel.turning:
        await asyncio.tasks.sleep(0)
    assert wheel.slots == {}
    assert [one for one in loop._scheduled if not one.cancelled()] == []  # pyright: ignore[reportAttributeAccessIssue]


def test_loops_in_many_threads_have_a_wheel_each():
    call, errors = guarded(forever, 0.03), []

    async def main() -> None:
        ended = await asyncio.gather(*(call() for _ in range(20)), return_exceptions=True)
        errors.extend(type(one) for one in ended)

    threads = [threading.Thread(target=asyncio.run, args=(main(),)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == [TimedOutError] * 80


def test_loops_one_after_another_in_a_thread():
    for _ in range(3):
        with pytest.raises(TimedOutError):
            asyncio.run(guarded(forever, 0.01)())


def test_uvloop_is_as_good():
    uvloop = pytest.importorskip("uvloop")

    async def main() -> None:
        began = time.monotonic()
        with pytest.raises(TimedOutError):
            await guarded(forever, 0.05)()
        assert 0.045 <= time.monotonic() - began < 1
        wheel = wheel_of(asyncio.get_running_loop())
        assert len(wheel) == 0

    uvloop.run(main())


async def test_a_blocking_call_goes_on_and_its_lateness_is_told():
    clock, signals = ManualClock(), Signals()
    heard: list[CallTimedOut] = []
    signals.listen(CallTimedOut, heard.append)

    def slow() -> float | None:
        clock._now += 3
        return remaining()

    assert Policy(Timeout(2), clock=clock, signals=signals)(slow)() == 0
    assert [one.timeout for one in heard] == [2]
    with deadline(0, clock=clock), pytest.raises(DeadlinePassedError):
        Policy(Timeout(2), clock=clock)(slow)()


async def test_outside_of_a_task_it_says_what_is_missing():
    coroutine = guarded(forever)()
    failed: list[BaseException] = []

    def step() -> None:
        try:
            coroutine.send(None)
        except RuntimeError as error:
            failed.append(error)

    asyncio.get_running_loop().call_soon(step)
    await asyncio.tasks.sleep(0)
    await asyncio.tasks.sleep(0)
    assert "await it in a task" in str(failed[0])


def test_operations_have_their_own_seconds():
    timeout = Timeout(30, connect=2, of={"read": 3, "POST /charges": 10}, precise=True)
    assert timeout.for_("POST /charges", "write").request == 10
    assert timeout.for_("GET /charges", "read").request == 3
    assert timeout.for_("GET /charges", "read").connect == 2
    assert timeout.for_("GET /charges", "read").precise
    assert timeout.for_("PUT /charges", "write") is timeout


def test_it_shows_what_was_said():
    assert repr(Timeout(2)) == "Timeout(2)"
    assert repr(Timeout(2, connect=1, total=True)) == "Timeout(2, connect=1, total=True)"


@pytest.mark.parametrize("wrong", [{"request": 0}, {"connect": -1}, {"of": {"read": 0}}], ids=str)
def test_a_span_of_nothing_is_refused(wrong: Any):
    with pytest.raises(ConfigError, match=r"expected more than 0 seconds"):
        Timeout(**wrong)


async def test_nobody_is_cut_off_early_nor_much_later():
    async def late() -> float:
        began = time.monotonic()
        with pytest.raises(TimedOutError):
            await guarded(forever, 0.03)()
        return time.monotonic() - began

    for took in await asyncio.gather(*(late() for _ in range(20))):
        assert 0.03 <= took < 0.03 + 2 * GRAIN + 0.2


async def test_the_time_that_the_caller_left_is_told():
    async def forever() -> None:
        await asyncio.get_running_loop().create_future()

    with deadline(0.05), pytest.raises(TimedOutError, match=r"within 0\.0[0-5]\d* s"):
        await Policy(Timeout(9)).call(forever)


def test_it_shows_the_seconds_of_operations():
    assert repr(Timeout(9, of={"read": 1})) == "Timeout(9, of={'read': 1.0})"


@pytest.mark.parametrize("precise", [True, False])
async def test_after_the_call_no_deadline_is_in_force_and_nothing_waits(*, precise: bool):
    async def answer() -> float | None:
        return remaining()

    for clock in (ManualClock(), None):
        words: Any = {"clock": clock} if clock else {}
        policy = Policy(Timeout(5, precise=precise), **words)
        assert await policy.call(answer) is not None
        assert remaining() is None
        if clock:
            await clock.settle()
            assert clock.sleepers == 0
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_whose_deadline_is_over_is_told_by_the_policys_name():
    async def answer() -> int:
        return 1

    with deadline(-1), pytest.raises(DeadlinePassedError, match=r"^pay: the caller's deadline"):
        await Policy(Timeout(9), name="pay").call(answer)
    with deadline(-1), pytest.raises(DeadlinePassedError, match=r"^answer: the caller's deadline"):
        await Policy(Timeout(9)).call(answer)
