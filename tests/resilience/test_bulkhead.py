import asyncio
import random
import signal
import sys
import threading
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isthmus.clock import ManualClock
from isthmus.deadline import deadline
from isthmus.errors import ConfigError, TimedOutError
from isthmus.resilience import (
    AdaptiveLimit,
    Bulkhead,
    BulkheadFullError,
    CircuitBreaker,
    CircuitOpenError,
    NotCalledError,
    Policy,
    RetriesSpentError,
    Retry,
    Timeout,
)
from isthmus.resilience.facts import CallRejected
from isthmus.resilience.permits import Permits, Waiter
from isthmus.resilience.wheel import wheel_of
from isthmus.signals import Signals

pytestmark = pytest.mark.usefixtures("way")


class Gate:
    """A call that runs until it is let go, and knows how many run at once."""

    def __init__(self):
        self.open = asyncio.Event()
        self.running = self.most = 0
        self.order: list[int] = []

    async def call(self, number: int = 0) -> int:
        self.running += 1
        self.most = max(self.most, self.running)
        self.order.append(number)
        try:
            await self.open.wait()
        finally:
            self.running -= 1
        return number


async def start(clock: ManualClock, call: Any, numbers: range) -> list[asyncio.Task[int]]:
    tasks = [asyncio.ensure_future(call(number)) for number in numbers]
    await clock.settle()
    return tasks


async def test_no_more_run_than_may_and_the_others_are_refused_at_once():
    clock, gate, bulkhead = ManualClock(), Gate(), Bulkhead(2)
    call = Policy(bulkhead, clock=clock, name="pay")(gate.call)
    tasks = await start(clock, call, range(3))
    with pytest.raises(BulkheadFullError, match="pay: 2 calls are running") as refused:
        await tasks[2]
    assert isinstance(refused.value, NotCalledError)
    gate.open.set()
    assert await asyncio.gather(*tasks[:2]) == [0, 1]
    assert (gate.most, bulkhead.running) == (2, 0)


async def test_who_waits_comes_in_order():
    clock, gate, bulkhead = ManualClock(), Gate(), Bulkhead(1, queue=3)
    tasks = await start(clock, Policy(bulkhead, clock=clock)(gate.call), range(5))
    assert (bulkhead.running, bulkhead.waiting) == (1, 3)
    assert isinstance(tasks[4].exception(), BulkheadFullError)
    gate.open.set()
    await asyncio.gather(*tasks[:4])
    assert gate.order == [0, 1, 2, 3]
    assert gate.most == 1


async def test_nobody_waits_longer_than_said():
    clock, gate = ManualClock(), Gate()
    bulkhead = Bulkhead(1, queue=1, wait=timedelta(seconds=3))
    tasks = await start(clock, Policy(bulkhead, clock=clock)(gate.call), range(2))
    await clock.advance(2.9)
    assert not tasks[1].done()
    await clock.advance(0.1)
    assert isinstance(tasks[1].exception(), BulkheadFullError)
    assert bulkhead.waiting == 0
    gate.open.set()
    await tasks[0]


async def test_nobody_waits_beyond_the_deadline_in_force():
    clock, gate, bulkhead = ManualClock(), Gate(), Bulkhead(1, queue=1)
    with deadline(5, clock=clock):
        tasks = await start(clock, Policy(bulkhead, clock=clock)(gate.call), range(2))
    await clock.advance(5)
    assert isinstance(tasks[1].exception(), BulkheadFullError)
    gate.open.set()
    await tasks[0]


async def test_a_permit_given_to_one_who_is_cancelled_goes_to_the_next():
    clock, gate, bulkhead = ManualClock(), Gate(), Bulkhead(1, queue=2)
    first, second, third = await start(clock, Policy(bulkhead, clock=clock)(gate.call), range(3))
    first.cancel()
    for _ in range(2):  # the permit is given, and its taker has not run yet
        if bulkhead.waiting == 2:
            await asyncio.tasks.sleep(0)
    second.cancel()
    await clock.settle()
    assert bulkhead.running == 1
    gate.open.set()
    assert await third == 2
    assert bulkhead.running == 0


async def test_it_may_be_resized_while_it_is_used():
    clock, gate, bulkhead = ManualClock(), Gate(), Bulkhead(3, queue=9)
    call = Policy(bulkhead, clock=clock)(gate.call)
    tasks = await start(clock, call, range(4))
    bulkhead.resize(1)
    assert (bulkhead.concurrency, bulkhead.running) == (1, 3)
    tasks[0].cancel()
    await clock.settle()
    assert (bulkhead.running, bulkhead.waiting) == (2, 1)
    bulkhead.resize(3)
    await clock.settle()
    assert (bulkhead.running, bulkhead.waiting) == (3, 0)
    gate.open.set()
    await asyncio.gather(*tasks[1:])
    assert bulkhead.running == 0


def test_threads_share_it_and_wait_their_turn():
    bulkhead, inside, most = Bulkhead(2, queue=50), 0, 0
    lock = threading.Lock()

    def work():
        nonlocal inside, most
        with lock:
            inside += 1
            most = max(most, inside)
        with lock:
            inside -= 1

    call = Policy(bulkhead)(work)
    threads = [threading.Thread(target=lambda: [call() for _ in range(50)]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most <= 2
    assert (bulkhead.running, bulkhead.waiting) == (0, 0)


async def test_a_thread_wakes_a_coroutine_that_waits():
    bulkhead, go, entered = Bulkhead(1, queue=1), threading.Event(), threading.Event()

    def block():
        entered.set()
        go.wait(5)

    thread = threading.Thread(target=Policy(bulkhead)(block))
    thread.start()
    entered.wait(5)
    waits = asyncio.ensure_future(Policy(bulkhead)(Gate_open)())
    while not bulkhead.waiting:
        await asyncio.tasks.sleep(0)
    go.set()
    assert await waits == "in"
    thread.join()
    assert bulkhead.running == 0


async def Gate_open() -> str:  # noqa: N802
    return "in"


@given(
    st.integers(1, 4),
    st.integers(0, 4),
    st.lists(st.tuples(st.sampled_from("bteslr"), st.integers(0, 99)), max_size=120),
)
@settings(deadline=None)
def test_no_permit_is_lost_or_doubled_whatever_happens(
    limit: int, queue: int, steps: list[tuple[str, int]]
):
    permits, running, waiting = Permits(limit, queue), 0, list[Waiter]()
    for step, which in steps:
        match step:
            case "b" | "t":  # somebody comes
                if permits.free and not permits.pressed:
                    permits.free.pop()
                    running += 1
                else:
                    waiter = Waiter()
                    if permits.join(waiter)[0]:
                        waiting.append(waiter)
            case "e" if running:  # somebody is done
                permits.free.append(None)
                running -= 1
                if permits.pressed:
                    permits.settle()
            case "l" if waiting:  # somebody who waits gives up, perhaps in the last moment
                permits.leave(waiting.pop(which % len(waiting)))
            case "s" if waiting:  # somebody who waited finds that it may run
                given = [one for one in waiting if one.given]
                waiting = [one for one in waiting if not one.given]
                running += len(given)
            case "r":
                permits.resize(1 + which % 5)
        held = running + sum(one.given for one in waiting)
        assert permits.running == held
        assert len(permits.waiting) == sum(not one.given for one in waiting) <= permits.queue
        assert not (permits.free and permits.waiting)
        assert len(permits.free) <= permits.limit


async def test_ten_thousand_calls_cancelled_at_random_leave_nothing_behind():
    seeded = random.Random(7)
    bulkhead, breaker = Bulkhead(50, queue=9000), CircuitBreaker(0.9, probes=2)
    policy = Policy(Retry(2, delay=0), breaker, bulkhead, Timeout(0.05))
    running = 0

    async def work(number: int) -> None:
        nonlocal running
        running += 1
        assert running <= 50
        try:
            for _ in range(number % 4):
                await asyncio.tasks.sleep(0)
            if number % 97 == 0:
                await asyncio.get_running_loop().create_future()
            if number % 13 == 0:
                raise ConnectionError
        finally:
            running -= 1

    call = policy(idempotent=True)(work)
    before = asyncio.all_tasks()
    tasks = [asyncio.ensure_future(call(number)) for number in range(10_000)]
    while not all(task.done() for task in tasks):
        for task in seeded.sample(tasks, 60):
            task.cancel()
        await asyncio.tasks.sleep(0)
    allowed = (
        asyncio.CancelledError, BulkheadFullError, TimedOutError, ConnectionError,
        RetriesSpentError, CircuitOpenError,
    )  # fmt: skip
    for ended in await asyncio.gather(*tasks, return_exceptions=True):
        assert ended is None or isinstance(ended, allowed)
    loop = asyncio.get_running_loop()
    assert (bulkhead.running, bulkhead.waiting, running) == (0, 0, 0)
    assert breaker._circuit.phase.in_flight == 0
    assert asyncio.all_tasks() == before
    wheel = wheel_of(loop)
    assert len(wheel) == 0
    while wheel.turning:
        await asyncio.tasks.sleep(0)
    assert [one for one in loop._scheduled if not one.cancelled()] == []  # pyright: ignore[reportAttributeAccessIssue]


async def test_an_adaptive_one_shrinks_when_calls_become_slow_and_grows_when_they_are_not():
    clock = ManualClock()
    bulkhead = Bulkhead(20, adaptive=AdaptiveLimit(most=40))

    async def load(seconds: float, rounds: int) -> None:
        call = Policy(bulkhead, clock=clock)(clock.sleep)
        for _ in range(rounds):
            tasks = [asyncio.ensure_future(call(seconds)) for _ in range(bulkhead.concurrency)]
            await clock.advance(seconds)
            await asyncio.gather(*tasks)

    await load(0.1, 5)
    grown = bulkhead.concurrency
    assert 20 < grown <= 40
    await load(2.0, 5)
    assert bulkhead.concurrency < grown / 2
    assert bulkhead.running == 0


@given(st.lists(st.tuples(st.floats(0, 100), st.integers(0, 500)), max_size=200))
def test_an_adaptive_limit_stays_in_its_range(calls: list[tuple[float, int]]):
    limit = AdaptiveLimit(least=3, most=50)
    limit.begin(10)
    for took, running in calls:
        assert 3 <= limit.after(took, running=running) <= 50


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: Bulkhead(0), r"Bulkhead\(concurrency=0\): expected 1 or more"),
        (lambda: Bulkhead(queue=-1), "queue=-1"),
        (lambda: Bulkhead(wait=0), "wait=0"),
        (lambda: Bulkhead().resize(0), "concurrency=0"),
        (lambda: AdaptiveLimit(least=0), "least=0"),
        (lambda: AdaptiveLimit(least=5, most=4), "most=4"),
        (lambda: AdaptiveLimit(tolerance=0.5), "tolerance"),
        (lambda: AdaptiveLimit(smoothing=0), "smoothing"),
        (lambda: AdaptiveLimit(memory=0), "memory"),
    ],
)
def test_an_option_out_of_range_is_refused(make: Any, told: str):
    with pytest.raises(ConfigError, match=told):
        make()


async def test_a_call_begun_before_it_adapted_teaches_it_nothing():
    clock = ManualClock()
    bulkhead, gate = Bulkhead(5), Gate()
    guard = Policy(bulkhead, clock=clock)
    bulkhead.adopt(Bulkhead(5, adaptive=True))
    guarded = guard.call(gate.call)
    bulkhead.adopt(Bulkhead(5))
    runs = asyncio.ensure_future(guarded)
    await clock.settle()
    bulkhead.adopt(Bulkhead(5, adaptive=True))
    gate.open.set()
    await runs
    assert bulkhead.adaptive is not None
    assert bulkhead.adaptive.usual == 0
    assert bulkhead.running == 0


async def test_a_call_begun_while_it_adapted_gives_its_permit_back_when_it_does_no_more():
    clock = ManualClock()
    bulkhead, gate = Bulkhead(5, adaptive=True), Gate()
    runs = asyncio.ensure_future(Policy(bulkhead, clock=clock).call(gate.call))
    await clock.settle()
    bulkhead.adopt(Bulkhead(5))
    gate.open.set()
    await runs
    assert (bulkhead.running, bulkhead.adaptive) == (0, None)


async def test_calls_of_a_task_group_that_fails_give_their_permits_back():
    bulkhead, gate = Bulkhead(2, queue=9), Gate()
    guarded = Policy(bulkhead, Timeout(5))(gate.call)

    async def fails() -> None:
        await asyncio.tasks.sleep(0)
        raise LookupError

    with pytest.raises(ExceptionGroup):
        async with asyncio.TaskGroup() as group:
            for number in range(6):
                group.create_task(guarded(number))
            group.create_task(fails())
    assert (bulkhead.running, bulkhead.waiting) == (0, 0)


async def test_who_is_cancelled_with_a_permit_in_hand_wakes_the_next():
    bulkhead, gate = Bulkhead(1, queue=2), Gate()
    guarded = Policy(bulkhead)(gate.call)
    first, second, third = (asyncio.ensure_future(guarded(number)) for number in range(3))
    await ManualClock().settle()
    gate.open.set()
    while not first.done():
        await asyncio.tasks.sleep(0)
    second.cancel()
    assert await third == 2
    assert bulkhead.running == 0


def test_a_thread_that_is_interrupted_while_it_waits_leaves_the_line():
    bulkhead, gate, main = Bulkhead(1, queue=1), threading.Event(), threading.get_ident()
    guarded, interrupted = Policy(bulkhead)(gate.wait), threading.Event()

    def waits() -> bool:
        return sys._current_frames()[main].f_code is threading.Condition.wait.__code__

    def interrupt(*_: object) -> None:
        if not interrupted.is_set():
            interrupted.set()
            raise KeyboardInterrupt

    def see() -> None:
        while not (bulkhead.waiting and waits()):
            pass
        while not interrupted.is_set():  # one that comes just before it waits wakes nobody
            signal.pthread_kill(main, signal.SIGUSR1)

    former = signal.signal(signal.SIGUSR1, interrupt)
    threads = [threading.Thread(target=guarded), threading.Thread(target=see)]
    try:
        threads[0].start()
        while not bulkhead.running:
            pass
        threads[1].start()
        with pytest.raises(KeyboardInterrupt):
            guarded()
    finally:
        gate.set()
        for thread in threads:
            thread.join()
        signal.signal(signal.SIGUSR1, former)
    assert (bulkhead.running, bulkhead.waiting) == (0, 0)


@pytest.mark.parametrize("smoothing", [0, 1.5])
def test_a_share_of_each_change_is_above_0_to_1(smoothing: float):
    with pytest.raises(ConfigError, match=r"smoothing=.*above 0, to 1"):
        AdaptiveLimit(smoothing=smoothing)


def test_who_waited_in_a_loop_that_is_gone_takes_no_permit_along():
    bulkhead = Bulkhead(1, queue=1)
    gate, began = threading.Event(), threading.Event()

    def hold() -> None:
        began.set()
        gate.wait(5)

    thread = threading.Thread(target=Policy(bulkhead)(hold))
    thread.start()
    assert began.wait(5)
    gone = asyncio.new_event_loop()
    gone.set_exception_handler(lambda *_: None)  # that its task is lost is what is tried here
    waits = gone.create_task(Policy(bulkhead).call(Gate().call))
    gone.run_until_complete(asyncio.tasks.sleep(0))
    assert bulkhead.waiting == 1
    gone.close()
    gate.set()
    thread.join()
    assert (bulkhead.running, bulkhead.waiting) == (0, 0)
    waits.get_coro().close()  # type: ignore[union-attr]
    assert (bulkhead.running, len(bulkhead._permits.free)) == (0, 1)


def test_a_limit_that_was_not_told_where_to_begin_begins_with_the_least():
    assert AdaptiveLimit(least=3).after(1.0, running=1) == 3


async def test_a_refusal_is_told():
    hub, heard, gate = Signals(), list[CallRejected](), Gate()
    hub.listen(CallRejected, heard.append)
    guard = Policy(Bulkhead(1), name="pay", signals=hub)
    runs = asyncio.ensure_future(guard.call(gate.call))
    await asyncio.tasks.sleep(0)
    with pytest.raises(BulkheadFullError):
        await guard.call(gate.call)
    assert heard == [CallRejected(policy="pay", call="call", by="bulkhead", retry_after=None)]
    gate.open.set()
    await runs


def test_an_adaptive_limit_learns_of_calls_that_block_too():
    clock = ManualClock()
    bulkhead = Bulkhead(20, adaptive=True)

    def slow() -> None:
        clock._now += 3

    Policy(bulkhead, clock=clock)(slow)()
    assert bulkhead.adaptive is not None
    assert bulkhead.adaptive.usual == pytest.approx(3)


def test_an_adaptive_limit_grows_by_no_more_than_its_root():
    limit = AdaptiveLimit(smoothing=1)
    limit.begin(100)
    limit.usual = 1.0
    assert limit.after(0.9, running=100) == 110


def test_what_was_usual_under_load_is_forgotten_when_that_is_over():
    limit = AdaptiveLimit()
    limit.begin(20)
    limit.usual = 10.0
    for _ in range(100):
        limit.after(0.1, running=1)
    assert limit.usual < 0.25
