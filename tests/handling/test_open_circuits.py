"""What an open circuit does to the consumers of one process: they pause, and nothing is lost."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from isthmus import App, Batch, Retry
from isthmus.clock import ManualClock
from isthmus.contracts import Delivery
from isthmus.errors import TimedOutError
from isthmus.handling.consuming.refusals import refusal
from isthmus.handling.facts import ConsumerPaused, ConsumerResumed, MessageRetried
from isthmus.handling.running.trial import Trial
from isthmus.resilience import Bulkhead, CircuitBreaker, CircuitOpenError, Policy, RateLimit
from isthmus.resilience import Retry as Again
from isthmus.resilience.errors import (
    BulkheadFullError,
    DeadlinePassedError,
    NotCalledError,
    RetriesSpentError,
)
from isthmus.signals import Signal


class Order(msgspec.Struct):
    id: str


class Provider:
    """What a handler calls: it is up, or it is down."""

    def __init__(self) -> None:
        self.up = True
        self.calls = 0

    async def charge(self, order: Order) -> None:
        self.calls += 1
        if not self.up:
            raise ConnectionError("down")


@pytest.fixture
def app() -> App:
    return App("shop")


@pytest.fixture
def provider() -> Provider:
    return Provider()


@pytest.fixture
def told(app: App) -> list[Signal]:
    told: list[Signal] = []
    app.signals.listen(ConsumerPaused, told.append)
    app.signals.listen(ConsumerResumed, told.append)
    return told


def breaker(**options: Any) -> CircuitBreaker:
    return CircuitBreaker(None, consecutive=3, open_for=10, **options)


def kinds(told: list[Signal]) -> list[type]:
    return [type(one) for one in told]


@pytest.fixture(params=["memory", "sqlite"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return "memory://" if request.param == "memory" else f"sqlite:///{tmp_path}/test.db"


class Guarded:
    """A policy around the provider, on the time of the App that is tried."""

    def __init__(self, provider: Provider, *strategies: Any) -> None:
        self._provider, self._strategies = provider, strategies
        self.charge: Callable[[Order], Any]

    def on(self, t: Trial, app: App) -> None:
        policy = Policy(*self._strategies, name="pay", clock=t.clock, signals=app.signals)
        self.charge = policy(self._provider.charge)


# --- queues ---------------------------------------------------------------------------------


async def test_a_consumer_pauses_while_the_circuit_is_open_and_loses_nothing(
    app: App, provider: Provider, told: list[Signal], engine: str
) -> None:
    orders, done = app.queue("orders", Order), list[str]()
    pay = Guarded(provider, breaker())

    @orders.handler(retry=Retry(attempts=3, delay=1, jitter="none"))
    async def accept(order: Order) -> None:
        await pay.charge(order)
        done.append(order.id)

    async with app.test(engine=engine) as t:
        pay.on(t, app)
        provider.up = False
        for n in range(40):
            await orders.send(Order(str(n)))
        await t.settle()
        calls = provider.calls
        assert calls < 20
        await t.advance(9)
        assert provider.calls == calls
        provider.up = True
        await t.advance(30)
        assert sorted(done, key=int) == [str(n) for n in range(40)]
        assert await orders.dead_letters.count() == 0
    assert kinds(told) == [ConsumerPaused, ConsumerResumed]


async def test_an_outage_however_long_makes_no_dead_letter(app: App, provider: Provider) -> None:
    orders, done, attempts = app.queue("orders", Order), list[str](), list[int]()
    pay = Guarded(provider, breaker())

    @orders.handler(retry=Retry(attempts=3, delay=1, jitter="none"))
    async def accept(order: Order, delivery: Delivery) -> None:
        attempts.append(delivery.attempt)
        await pay.charge(order)
        done.append(order.id)

    async with app.test() as t:
        pay.on(t, app)
        provider.up = False
        for n in range(20):
            await orders.send(Order(str(n)))
        await t.advance(3600)
        assert await orders.dead_letters.count() == 0
        assert max(attempts) <= 2
        provider.up = True
        await t.advance(60)
        assert len(done) == 20


async def test_the_probe_is_one_message(app: App, provider: Provider) -> None:
    orders, began, go = app.queue("orders", Order), list[str](), asyncio.Event()
    pay = Guarded(provider, breaker())

    @orders.handler(retry=Retry(attempts=9, delay=1, jitter="none"))
    async def accept(order: Order) -> None:
        began.append(order.id)
        await pay.charge(order)
        await go.wait()

    async with app.test() as t:
        pay.on(t, app)
        provider.up = False
        for n in range(40):
            await orders.send(Order(str(n)))
        await t.settle()
        provider.up = True
        began.clear()
        await t.advance(11)
        assert len(began) == 1
        go.set()
        await t.advance(20)
        assert len(set(began)) == 40


async def test_a_refused_message_keeps_its_attempts(app: App, provider: Provider) -> None:
    orders, attempts = app.queue("orders", Order), list[int]()
    circuit = breaker(name="pay")
    pay = Guarded(provider, circuit)

    @orders.handler(retry=Retry(attempts=2, delay=1, jitter="none"))
    async def accept(order: Order, delivery: Delivery) -> None:
        attempts.append(delivery.attempt)
        await pay.charge(order)

    retried: list[MessageRetried] = []
    app.signals.listen(MessageRetried, retried.append)
    async with app.test() as t:
        pay.on(t, app)
        circuit.isolate()
        await orders.send(Order("1"))
        await t.advance(20)
        assert len(attempts) > 5
        assert set(attempts) == {1}
        assert not retried


async def test_a_circuit_that_is_reset_by_hand_ends_the_pause_at_once(
    app: App, provider: Provider, told: list[Signal]
) -> None:
    orders, done = app.queue("orders", Order), list[str]()
    circuit = CircuitBreaker(None, consecutive=1, open_for=3600)
    pay = Guarded(provider, circuit)

    @orders.handler(retry=Retry(attempts=9, delay=1, jitter="none"), concurrency=1)
    async def accept(order: Order) -> None:
        await pay.charge(order)
        done.append(order.id)

    async with app.test() as t:
        pay.on(t, app)
        provider.up = False
        await orders.send(Order("1"))
        await orders.send(Order("2"))
        await t.advance(2)
        provider.up = True
        circuit.reset()
        await t.settle()
        assert done
        assert kinds(told) == [ConsumerPaused, ConsumerResumed]


async def test_consumers_on_one_breaker_pause_each(
    app: App, provider: Provider, told: list[Signal]
) -> None:
    orders, placed = app.queue("orders", Order), app.topic("placed", Order)
    circuit = breaker()
    pay = Guarded(provider, circuit)
    done: list[str] = []

    @orders.handler(retry=Retry(attempts=9, delay=1, jitter="none"))
    async def accept(order: Order) -> None:
        await pay.charge(order)
        done.append(f"queue {order.id}")

    @placed.subscription("mail", retry=Retry(attempts=9, delay=1, jitter="none"))
    async def mail(order: Order) -> None:
        await pay.charge(order)
        done.append(f"topic {order.id}")

    async with app.test() as t:
        pay.on(t, app)
        provider.up = False
        for n in range(10):
            await orders.send(Order(str(n)))
            await placed.publish(Order(str(n)))
        await t.settle()
        paused = [one.address for one in told if isinstance(one, ConsumerPaused)]
        assert sorted(paused) == ["orders", "placed/mail"]
        provider.up = True
        await t.advance(60)
        assert len(done) == 20
        assert kinds(told)[2:] == [ConsumerResumed] * 2


async def test_a_drain_during_a_pause_ends_at_once(provider: Provider) -> None:
    clock = ManualClock()
    app = App("shop", engine="memory://", clock=clock)
    orders = app.queue("orders", Order)
    circuit = CircuitBreaker(None, consecutive=1, open_for=3600)
    pay = Policy(circuit, clock=clock)(provider.charge)

    @orders.handler(concurrency=1)
    async def accept(order: Order) -> None:
        await pay(order)

    provider.up = False
    paused = asyncio.Event()
    app.signals.listen(ConsumerPaused, lambda _: paused.set())
    running = asyncio.create_task(app.run(only=["queue:orders"]))
    await clock.settle(100)
    await orders.send_many([Order("1"), Order("2")])
    while not paused.is_set():
        await clock.settle()
    await clock.settle(50)
    moment = clock.now()
    await app.drain()
    await clock.settle(200)
    assert running.done()
    assert clock.now() == moment
    await running


async def test_a_batch_that_was_refused_goes_back_whole(app: App, provider: Provider) -> None:
    orders, sizes, done = app.queue("orders", Order), list[int](), list[str]()
    pay = Guarded(provider, breaker())

    @orders.handler(batch=10, retry=Retry(attempts=2, delay=1, jitter="none"))
    async def accept(batch: Batch[Order]) -> None:
        sizes.append(len(batch))
        for order in batch:
            await pay.charge(order)
        done.extend(order.id for order in batch)

    async with app.test() as t:
        pay.on(t, app)
        await orders.send_many([Order(str(n)) for n in range(10)])
        await t.settle()
        assert len(done) == 10
        pay.charge = _refuse
        await orders.send_many([Order(str(n)) for n in range(10, 20)])
        await t.advance(0.5)
        pay.on(t, app)
        await t.advance(5)
        assert len(done) == 20
        assert await orders.dead_letters.count() == 0


async def _refuse(_: Order) -> None:
    raise CircuitOpenError("open", retry_after=1.0)


async def test_what_a_bulkhead_or_a_rate_limit_refused_comes_back_without_a_pause(
    app: App, provider: Provider, told: list[Signal]
) -> None:
    orders, done, attempts = app.queue("orders", Order), list[str](), list[int]()
    pay = Guarded(provider, RateLimit(1, 1, name="pay"), Bulkhead(1))

    @orders.handler(retry=Retry(attempts=1), concurrency=4)
    async def accept(order: Order, delivery: Delivery) -> None:
        attempts.append(delivery.attempt)
        await pay.charge(order)
        done.append(order.id)

    async with app.test() as t:
        pay.on(t, app)
        for n in range(10):
            await orders.send(Order(str(n)))
        await t.settle()
        tried = len(attempts)
        assert 1 <= tried <= 8
        assert len(done) == 1
        await t.advance(60)
        assert len(done) == 10
        assert set(attempts) == {1}
        assert len(attempts) < 10 * 60
        assert await orders.dead_letters.count() == 0
    assert not told


# --- which errors are refusals --------------------------------------------------------------


def spent(cause: Exception) -> RetriesSpentError:
    error = RetriesSpentError("3 attempts")
    error.__cause__ = cause
    return error


OPEN, FULL = CircuitOpenError("open"), BulkheadFullError("full")


@pytest.mark.parametrize(
    ("error", "found"),
    [
        (OPEN, OPEN),
        (spent(OPEN), OPEN),
        (spent(spent(OPEN)), OPEN),
        (ExceptionGroup("two", [FULL, OPEN]), OPEN),
        (FULL, FULL),
        (NotCalledError("of another policy"), None),
        (ExceptionGroup("two", [OPEN, ValueError()]), None),
        (spent(ValueError()), None),
        (TimedOutError("late"), None),
        (DeadlinePassedError("over"), None),
        (ValueError(), None),
    ],
)
def test_a_refusal_is_found_wherever_it_is(error: Exception, found: NotCalledError | None) -> None:
    if type(error) is NotCalledError:
        assert refusal(error) is error
    else:
        assert refusal(error) is found


async def test_a_breaker_inside_of_a_retry_pauses_too(
    app: App, provider: Provider, told: list[Signal]
) -> None:
    orders = app.queue("orders", Order)
    pay = Guarded(provider, Again(3, delay=0.1), breaker())

    @orders.handler(retry=Retry(attempts=9))
    async def accept(order: Order) -> None:
        await pay.charge(order)

    async with app.test() as t:
        pay.on(t, app)
        provider.up = False
        for n in range(10):
            await orders.send(Order(str(n)))
        await t.advance(2)
        assert kinds(told)[:1] == [ConsumerPaused]


async def test_an_ordered_queue_keeps_the_order_of_its_keys_through_a_pause(
    app: App, engine: str
) -> None:
    orders, done, is_open = app.queue("orders", Order, ordered=True), list[str](), True

    @orders.handler()
    async def accept(order: Order) -> None:
        if is_open:
            raise CircuitOpenError("open", retry_after=2.0)
        done.append(order.id)

    async with app.test(engine=engine) as t:
        for n in range(12):
            await orders.send(Order(str(n)), key=f"k{n % 2}")
        await t.advance(20)
        is_open = False
        await t.advance(20)
        assert len(done) == 12
        assert [id_ for id_ in done if int(id_) % 2] == ["1", "3", "5", "7", "9", "11"]
        assert [id_ for id_ in done if not int(id_) % 2] == ["0", "2", "4", "6", "8", "10"]


async def test_a_drain_does_not_begin_the_probe_that_waits_for_a_slot() -> None:
    clock = ManualClock()
    app = App("shop", engine="memory://", clock=clock)
    orders, began, go = app.queue("orders", Order), list[str](), asyncio.Event()

    @orders.handler(concurrency=2)
    async def accept(order: Order) -> None:
        began.append(order.id)
        if order.id.startswith("long"):
            await go.wait()
        elif len(began) == 2:
            began.append("refused")
            raise CircuitOpenError("open", retry_after=1.0)

    running = asyncio.create_task(app.run(only=["queue:orders"]))
    await clock.settle(100)
    await orders.send(Order("long 1"))
    await clock.settle(100)
    await orders.send(Order("a"))
    await clock.advance(0.5)
    assert began == ["long 1", "a", "refused"]
    await app.drain()
    await clock.advance(0.5)
    assert began == ["long 1", "a", "refused"]
    go.set()
    await clock.advance(5)
    await running
