"""Deadlines that travel with messages."""

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from isthmus import App, Batch, ConfigError, Retry
from isthmus.clock import ManualClock
from isthmus.deadline import HEADER, deadline, deadline_headers, remaining


class Order(msgspec.Struct):
    id: str


@pytest.fixture
def app() -> App:
    return App("shop")


def moment(t: Any, seconds: float) -> datetime:
    return datetime.fromtimestamp(t.clock.now() + seconds, UTC)


async def test_a_deadline_is_in_force_while_the_message_is_handled(app: App) -> None:
    orders, left = app.queue("orders", Order), list[float | None]()

    @orders.handler()
    async def accept(order: Order) -> None:
        left.append(remaining())

    async with app.test() as t:
        await orders.send(Order("1"), deadline=moment(t, 30))
        await t.settle()
        await orders.send(Order("2"))
        await t.settle()
        await orders.send(Order("3"), deadline=deadline(20, clock=t.clock))
        await t.settle()
        await orders.send(Order("4"), headers={HEADER: f"{t.clock.now() + 10:.3f}"})
        await t.settle()
    assert left == [pytest.approx(30, abs=0.01), None, pytest.approx(20, abs=0.01), 10]


async def test_what_is_taken_after_its_deadline_is_a_dead_letter(app: App) -> None:
    orders, handled = app.queue("orders", Order), list[str]()

    @orders.handler()
    async def accept(order: Order) -> None:
        handled.append(order.id)

    async with app.test() as t:
        await orders.send(Order("late"), deadline=moment(t, 5), delay=7)
        await orders.send(Order("early"), deadline=moment(t, 9), delay=7)
        await t.advance(8)
        assert handled == ["early"]
        [letter] = await orders.dead_letters.list()
        assert letter.reason == "expired 2.0 s before it was taken"


async def test_what_fails_until_its_deadline_is_not_tried_beyond_it(app: App) -> None:
    orders, tried = app.queue("orders", Order), 0

    @orders.handler(retry=Retry(attempts=10, delay=2, factor=1, jitter="none"))
    async def accept(order: Order) -> None:
        nonlocal tried
        tried += 1
        raise ValueError("no")

    async with app.test() as t:
        await orders.send(Order("1"), deadline=moment(t, 5))
        await t.advance(60)
        assert tried == 3
        [letter] = await orders.dead_letters.list()
        assert "expired" in letter.reason


async def test_a_letter_that_expired_is_handled_when_it_is_replayed(app: App) -> None:
    orders, handled = app.queue("orders", Order), list[str]()

    @orders.handler()
    async def accept(order: Order) -> None:
        handled.append(order.id)

    async with app.test() as t:
        await orders.send(Order("late"), deadline=moment(t, 5), delay=7)
        await t.advance(8)
        await orders.dead_letters.replay()
        await t.settle()
        assert handled == ["late"]


async def test_the_deadline_of_a_caller_is_not_passed_on(app: App) -> None:
    orders, mails = app.queue("orders", Order), app.queue("mails", Order)
    placed = app.topic("placed", Order)

    @orders.handler()
    async def accept(order: Order) -> None:
        await mails.send(order)

    async with app.test() as t:
        with deadline(5, clock=t.clock):
            await orders.send(Order("1"))
            await placed.publish(Order("1"))
        await orders.send(Order("2"), deadline=moment(t, 5))
        await t.settle()
        sent = [*t.messages(orders)[:1], *t.messages(placed), *t.messages(mails)]
        assert len(sent) == 4
        assert not any(HEADER in message.headers for message in sent)


async def test_it_is_passed_on_where_the_program_says_so(app: App) -> None:
    orders, placed = app.queue("orders", Order), app.topic("placed", Order)
    async with app.test() as t:
        with deadline(5, clock=t.clock) as mine:
            await orders.send(Order("1"), headers=deadline_headers())
            await placed.publish(Order("1"), deadline=mine)
        await t.settle()
        for to in (orders, placed):
            [message] = t.messages(to)
            assert float(message.headers[HEADER]) == pytest.approx(mine.at, abs=0.01)


async def test_a_batch_has_until_the_last_deadline_of_its_messages(app: App) -> None:
    orders, left = app.queue("orders", Order), list[float | None]()

    @orders.handler(batch=2)
    async def accept(batch: Batch[Order]) -> None:
        left.append(remaining())

    async with app.test() as t:
        async with app.transaction():
            await orders.send(Order("1"), deadline=moment(t, 5))
            await orders.send(Order("2"), deadline=moment(t, 9))
        await t.settle()
        async with app.transaction():
            await orders.send(Order("3"), deadline=moment(t, 5))
            await orders.send(Order("4"))
        await t.settle()
    assert left == [pytest.approx(9, abs=0.01), None]


async def test_a_header_that_is_no_moment_is_none(app: App) -> None:
    orders, left = app.queue("orders", Order), list[float | None]()

    @orders.handler()
    async def accept(order: Order) -> None:
        left.append(remaining())

    async with app.test() as t:
        await orders.send(Order("1"), headers={HEADER: "soon"})
        await t.settle()
    assert left == [None]


async def test_a_deadline_without_a_time_zone_is_refused(app: App) -> None:
    orders = app.queue("orders", Order)
    async with app.test():
        with pytest.raises(ConfigError, match="time zone"):
            await orders.send(Order("1"), deadline=datetime(2030, 1, 1))  # noqa: DTZ001


async def test_a_record_of_a_stream_is_read_whatever_its_deadline(app: App) -> None:
    ledger, left, fails = app.stream("ledger", Order, key="id"), list[float | None](), True

    @ledger.group("all", retry=Retry(attempts=3, delay=20, jitter="none"))
    async def post(order: Order) -> None:
        if fails:
            raise ValueError("not yet")
        left.append(remaining())

    async with app.test() as t:
        await ledger.append(Order("1"), headers={HEADER: f"{t.clock.now() + 5:.3f}"})
        await t.advance(10)
        fails = False
        await ledger.append(Order("2"), headers={HEADER: f"{t.clock.now() - 5:.3f}"})
        await t.advance(30)
        assert left == [None, None]
        assert isinstance(t.clock, ManualClock)
