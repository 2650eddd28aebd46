"""What an open circuit does to a consumer group: it waits at the record, and nothing is parked."""

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest

from isthmus import App, Batch, Retry
from isthmus.handling.facts import ConsumerPaused, ConsumerResumed
from isthmus.resilience import BulkheadFullError, CircuitOpenError
from isthmus.signals import Signal
from isthmus.streams import Stream


class Order(msgspec.Struct):
    id: str


@pytest.fixture
def app() -> App:
    return App("shop")


@pytest.fixture
def told(app: App) -> list[Signal]:
    told: list[Signal] = []
    app.signals.listen(ConsumerPaused, told.append)
    app.signals.listen(ConsumerResumed, told.append)
    return told


def kinds(told: list[Signal]) -> list[type]:
    return [type(one) for one in told]


@pytest.fixture(params=["memory", "sqlite"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return "memory://" if request.param == "memory" else f"sqlite:///{tmp_path}/test.db"


async def test_a_group_waits_at_the_record_and_parks_nothing(
    app: App, told: list[Signal], engine: str
) -> None:
    ledger, done = app.stream("ledger", Order, key="id", partitions=2), list[str]()
    is_open = True

    @ledger.group("balances", retry=Retry(attempts=9, delay=1, jitter="none"))
    async def post(order: Order) -> None:
        if is_open:
            raise CircuitOpenError("open", retry_after=1.0)
        done.append(order.id)

    async with app.test(engine=engine) as t:
        await ledger.append(*(Order(str(n % 5)) for n in range(50)))
        await t.advance(20)
        assert done == []
        assert await ledger["balances"].parked() == 0
        assert kinds(told) == [ConsumerPaused]
        is_open = False
        await t.advance(5)
        assert len(done) == 50
        assert await ledger["balances"].parked() == 0
    assert kinds(told) == [ConsumerPaused, ConsumerResumed]


async def test_records_of_a_key_keep_their_order_through_a_pause(
    app: App,
) -> None:
    ledger, done = app.stream("ledger", Order, key="id", partitions=1), list[str]()
    refuse = True

    @ledger.group("balances", concurrency=4)
    async def post(order: Order) -> None:
        if refuse:
            raise CircuitOpenError("open", retry_after=2.0)
        done.append(order.id)

    async with app.test() as t:
        for n in range(6):
            await ledger.append(Order(str(n)), key="one")
        await t.advance(7200)
        assert done == []
        refuse = False
        await t.advance(5)
        assert done == list("012345")
        assert await ledger["balances"].dead_letters.count() == 0


async def test_a_record_that_fails_by_itself_is_no_reason_to_wait_longer(app: App) -> None:
    ledger, done, tried = app.stream("ledger", Order, key="id", partitions=1), list[str](), 0

    @ledger.group("balances", retry=Retry(attempts=2, delay=100, jitter="none"))
    async def post(order: Order) -> None:
        nonlocal tried
        tried += 1
        if tried == 1:
            raise CircuitOpenError("open", retry_after=2.0)
        if order.id == "bad":
            raise ValueError("no such account")
        done.append(order.id)

    async with app.test() as t:
        await ledger.append(Order("bad"), Order("a"), Order("b"))
        await t.advance(4)
        assert sorted(done) == ["a", "b"]


async def test_a_partition_is_handed_over_in_the_middle_of_a_pause(processes: Any) -> None:
    done: list[str] = []
    refused: set[App] = set()
    streams: dict[App, Stream[Order]] = {}

    def declare(app: App) -> None:
        ledger = app.stream("ledger", Order, key="id", partitions=2)

        @ledger.group("balances")
        async def post(order: Order) -> None:
            if app in refused:
                raise CircuitOpenError("open", retry_after=3600)
            done.append(order.id)

        streams[app] = ledger

    several = processes(declare)
    async with several.keeper as keeper:
        first = await several.start()
        refused.add(first.app)
        await streams[keeper].append(*(Order(str(n)) for n in range(20)))
        await several.clock.advance(5)
        assert done == []
        second = await several.start()
        await several.clock.advance(30)
        assert 0 < len(done) < 20
        await several.drain(first)
        await several.clock.advance(30)
        assert sorted(set(map(int, done))) == list(range(20))
        await several.drain(second)


async def test_one_of_a_batch_that_was_refused_is_tried_again_alone(app: App) -> None:
    ledger, done, refused = app.stream("ledger", Order, key="id", partitions=1), list[str](), 0

    @ledger.group("balances", batch=10)
    async def post(batch: Batch[Order]) -> None:
        nonlocal refused
        for order in batch:
            if order.id == "3" and refused < 2000:
                refused += 1
                batch.fail(order, BulkheadFullError("full"))
            else:
                done.append(order.id)

    async with app.test() as t:
        await ledger.append(*(Order(str(n)) for n in range(10)))
        await t.advance(1000)
        assert sorted(done) == list("012456789")
        assert refused > 500
        assert await ledger["balances"].parked() == 0
        await t.advance(4000)
        assert done[-1] == "3"


async def test_the_probe_of_a_group_is_one_record(app: App) -> None:
    ledger, began = app.stream("ledger", Order, key="id", partitions=2), list[str]()
    is_open, go = True, asyncio.Event()

    @ledger.group("balances")
    async def post(order: Order) -> None:
        if is_open:
            raise CircuitOpenError("open", retry_after=2.0)
        began.append(order.id)
        await go.wait()

    async with app.test() as t:
        await ledger.append(*(Order(str(n)) for n in range(8)))
        await t.settle()
        is_open = False
        await t.advance(10)
        assert len(began) == 1
        go.set()
        await t.advance(2)
        assert sorted(began) == list("01234567")


async def test_others_need_not_wait_for_the_backoff_of_a_probe_that_failed_by_itself(
    app: App,
) -> None:
    ledger, done, is_open = app.stream("ledger", Order, key="id"), list[str](), True
    again = Retry(attempts=2, delay=100, jitter="none")

    @ledger.group("balances", on_error="skip", concurrency=4, retry=again)
    async def post(order: Order) -> None:
        if is_open:
            raise CircuitOpenError("open", retry_after=2.0)
        if not done:
            done.append("failed")
            raise ValueError("no such account")
        done.append(order.id)

    async with app.test() as t:
        await ledger.append(*(Order(str(n)) for n in range(4)))
        await t.settle()
        is_open = False
        await t.advance(10)
        assert len(done) == 4
