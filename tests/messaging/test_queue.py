"""What a work queue promises, on memory and virtual time."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from isthmus import App, ConfigError, Message, Postpone, Reject, Retry, SchemaError, Transaction
from isthmus.contracts import Delivery
from isthmus.errors import FullError
from isthmus.handling.facts import DuplicateSkipped, MessageRetried


class Order(msgspec.Struct):
    id: str
    total: int = 1


@pytest.fixture
def app() -> App:
    return App("shop")


async def test_a_message_is_handled_once_and_gone(app: App) -> None:
    orders, handled = app.queue("orders", Order), list[Order]()

    @orders.handler()
    async def accept(order: Order) -> None:
        handled.append(order)

    async with app.test() as t:
        await orders.send(Order("1"))
        await t.settle()
        assert handled == [Order("1")]
        stats = await orders.stats()
        assert (stats.ready, stats.leased, stats.delayed) == (0, 0, 0)


async def test_sending_an_id_again_is_one_message_in_effect(app: App) -> None:
    orders, handled = app.queue("orders", Order), list[Order]()

    @orders.handler()
    async def accept(order: Order) -> None:
        handled.append(order)

    skipped = list[DuplicateSkipped]()
    app.signals.listen(DuplicateSkipped, skipped.append)
    async with app.test() as t:
        await orders.send(Order("1"), id="1")
        await t.settle()
        await orders.send(Order("1"), id="1")
        await t.settle()
    assert handled == [Order("1")]
    assert [each.message for each in skipped] == ["1"]


async def test_twins_in_one_batch_are_one_message_in_effect(app: App) -> None:
    orders, handled = app.queue("orders", Order), list[Order]()

    @orders.handler()
    async def accept(order: Order) -> None:
        handled.append(order)

    async with app.test() as t:
        for _ in range(5):
            await orders.send(Order("1"), id="1")
        await t.advance(5)
        assert handled == [Order("1")]
        assert (await orders.stats()).ready == 0


async def test_an_id_is_handled_again_once_the_inbox_has_forgotten_it(app: App) -> None:
    orders, handled = app.queue("orders", Order), list[Order]()

    @orders.handler(inbox=60)
    async def accept(order: Order) -> None:
        handled.append(order)

    async with app.test() as t:
        await orders.send(Order("1"), id="1")
        await t.advance(61)
        await orders.send(Order("1"), id="1")
        await t.settle()
    assert len(handled) == 2


async def test_what_a_failing_handler_sent_never_leaves(app: App) -> None:
    orders, mails = app.queue("orders", Order), app.queue("mails", Order)

    @orders.handler(retry=Retry(attempts=2, delay=1, jitter="none"))
    async def accept(order: Order) -> None:
        await mails.send(order)
        raise ValueError("no stock")

    async with app.test() as t:
        await orders.send(Order("1"))
        await t.advance(10)
        assert t.sent(mails) == []
        assert await orders.dead_letters.count() == 1


async def test_a_failed_message_comes_back_after_its_backoff(app: App) -> None:
    orders, attempts = app.queue("orders", Order), list[int]()

    @orders.handler(retry=Retry(attempts=5, delay=10, jitter="none"))
    async def accept(order: Order, delivery: Delivery) -> None:
        attempts.append(delivery.attempt)
        if delivery.attempt < 3:
            raise ValueError("not yet")

    retried = list[MessageRetried]()
    app.signals.listen(MessageRetried, retried.append)
    async with app.test() as t:
        await orders.send(Order("1"))
        await t.advance(9.9)
        assert attempts == [1]
        await t.advance(0.2)
        assert attempts == [1, 2]
        await t.advance(20)
        assert attempts == [1, 2, 3]
    assert [each.delay for each in retried] == [10, 20]


async def test_a_dead_letter_keeps_every_failure(app: App) -> None:
    orders = app.queue("orders", Order)

    @orders.handler(retry=Retry(attempts=3, delay=1, jitter="none"))
    async def accept(order: Order) -> None:
        raise ValueError(f"no sku in {order.id}")

    async with app.test() as t:
        began = t.clock.now()
        await orders.send(Order("7"), id="7", headers={"tenant": "acme"})
        await t.advance(10)
        (letter,) = await orders.dead_letters.list()
    assert letter.reason == "failed 3 times"
    assert letter.message.headers["tenant"] == "acme"
    assert msgspec.json.decode(letter.message.body, type=Order) == Order("7")
    assert [failure.attempt for failure in letter.failures] == [1, 2, 3]
    assert [round(failure.at - began) for failure in letter.failures] == [0, 1, 3]
    assert all(failure.error == "ValueError: no sku in 7" for failure in letter.failures)
    assert "in accept" in letter.failures[0].traceback


async def test_a_replayed_dead_letter_has_all_its_attempts_again(app: App) -> None:
    orders, handled, broken = app.queue("orders", Order), list[Order](), [True]

    @orders.handler(retry=Retry(attempts=2, delay=1, jitter="none"))
    async def accept(order: Order) -> None:
        if broken[0]:
            raise ValueError("down")
        handled.append(order)

    async with app.test() as t:
        for name in ("1", "2", "3"):
            await orders.send(Order(name), id=name)
        await t.advance(10)
        broken[0] = False
        assert await orders.dead_letters.replay(["2"]) == 1
        await t.settle()
        assert handled == [Order("2")]
        assert await orders.dead_letters.replay() == 2
        await t.settle()
        assert await orders.dead_letters.count() == 0
    assert sorted(order.id for order in handled) == ["1", "2", "3"]


async def test_a_dead_letter_is_found_shown_and_dropped(app: App) -> None:
    orders = app.queue("orders", Order)

    @orders.handler(retry=Retry(attempts=1))
    async def accept(order: Order) -> None:
        raise ValueError(f"broken {order.id}")

    async with app.test() as t:
        for name in ("apple", "pear"):
            await orders.send(Order(name), id=name)
        await t.settle()
        letters = orders.dead_letters
        assert [each.message.id for each in await letters.list(search="BROKEN P")] == ["pear"]
        assert (await letters.show("apple")).reason == "failed 1 times"
        assert await letters.drop(["apple"]) == 1
        assert [each.message.id for each in await letters.list()] == ["pear"]


async def test_a_rejected_message_is_a_dead_letter_at_once(app: App) -> None:
    orders, runs = app.queue("orders", Order), list[Order]()

    @orders.handler()
    async def accept(order: Order) -> None:
        runs.append(order)
        raise Reject("unknown sku")

    async with app.test() as t:
        await orders.send(Order("1"))
        await t.settle()
        (letter,) = await orders.dead_letters.list()
    assert len(runs) == 1
    assert letter.reason == "rejected: unknown sku"


async def test_a_postponed_attempt_does_not_count(app: App) -> None:
    orders, attempts = app.queue("orders", Order), list[int]()

    @orders.handler(retry=Retry(attempts=2))
    async def accept(order: Order, delivery: Delivery) -> None:
        attempts.append(delivery.attempt)
        if len(attempts) < 5:
            raise Postpone(60, "the bank is closed")

    async with app.test() as t:
        await orders.send(Order("1"))
        await t.advance(300)
    assert attempts == [1] * 5


async def test_an_expired_message_is_a_dead_letter_not_handled(app: App) -> None:
    orders, handled = app.queue("orders", Order), list[Order]()

    @orders.handler()
    async def accept(order: Order) -> None:
        handled.append(order)

    async with app.test() as t:
        await orders.send(Order("late"), delay=10, ttl=5)
        await orders.send(Order("early"), delay=1, ttl=5)
        await t.advance(20)
        (letter,) = await orders.dead_letters.list()
    assert handled == [Order("early")]
    assert letter.reason.startswith("expired 5.0 s before")


async def test_a_message_of_an_unknown_version_is_a_dead_letter(app: App) -> None:
    orders = app.queue("orders", Order)

    @orders.handler()
    async def accept(order: Order) -> None: ...

    async with app.test() as t:
        await t.host.queue.send("orders", [Message(body=b'{"id": 7}', id="wrong")])
        await t.host.queue.send("orders", [Message(body=b"\xff\x00", id="noise")])
        await t.settle()
        letters = await orders.dead_letters.list()
    assert {letter.message.id for letter in letters} == {"wrong", "noise"}
    assert all(letter.reason.startswith("unreadable: ") for letter in letters)


async def test_a_message_comes_at_its_moment(app: App) -> None:
    orders, handled = app.queue("orders", Order), list[str]()

    @orders.handler()
    async def accept(order: Order) -> None:
        handled.append(order.id)

    async with app.test() as t:
        moment = datetime.fromtimestamp(t.clock.now() + 100, UTC)
        await orders.send(Order("at"), at=moment)
        await orders.send(Order("delay"), delay=50)
        await t.advance(49)
        assert handled == []
        await t.advance(2)
        assert handled == ["delay"]
        await t.advance(50)
        assert handled == ["delay", "at"]


async def test_a_moment_without_a_time_zone_is_refused(app: App) -> None:
    orders = app.queue("orders", Order)
    async with app.test():
        with pytest.raises(ConfigError, match=r"has no time zone; use datetime\.now\(UTC\)"):
            await orders.send(Order("1"), at=datetime(2030, 1, 1))  # noqa: DTZ001


async def test_a_scheduled_message_can_be_cancelled(app: App) -> None:
    orders, handled = app.queue("orders", Order), list[Order]()

    @orders.handler()
    async def accept(order: Order) -> None:
        handled.append(order)

    async with app.test() as t:
        message = await orders.send(Order("1"), delay=60)
        assert await orders.cancel(message) is True
        assert await orders.cancel(message) is False
        await t.advance(120)
    assert handled == []


async def test_of_a_burst_only_the_last_is_handled_once_it_is_quiet(app: App) -> None:
    orders, handled = app.queue("orders", Order), list[Order]()

    @orders.handler()
    async def accept(order: Order) -> None:
        handled.append(order)

    async with app.test() as t:
        for total in range(5):
            await orders.debounce(Order("1", total), key="1", delay=10)
            await t.advance(9)
        assert handled == []
        await t.advance(2)
        assert handled == [Order("1", 4)]
        await orders.debounce(Order("1", 9), key="1", delay=10)
        await t.advance(11)
    assert handled == [Order("1", 4), Order("1", 9)]


async def test_higher_priority_goes_first(app: App) -> None:
    orders, handled = app.queue("orders", Order), list[str]()

    async with app.test() as t:
        for priority in (0, 5, -3, 9):
            await orders.send(Order(str(priority)), priority=priority)

        receiver = await t.host.queue.receiver("orders", "orders", limit=10, lease=10)
        for delivery in await receiver.receive(10, wait=0):
            handled.append(msgspec.json.decode(delivery.message.body)["id"])
    assert handled == ["9", "5", "0", "-3"]


async def test_an_ordered_queue_handles_one_key_one_after_the_other(app: App) -> None:
    orders, handled = app.queue("orders", Order, ordered=True), list[str]()

    @orders.handler(retry=Retry(attempts=3, delay=10, jitter="none"))
    async def accept(order: Order, delivery: Delivery) -> None:
        if order.id == "a1" and delivery.attempt == 1:
            raise ValueError("not yet")
        handled.append(order.id)

    async with app.test() as t:
        for name in ("a1", "a2", "b1"):
            await orders.send(Order(name), key=name[0])
        await t.settle()
        assert handled == ["b1"]
        await t.advance(11)
    assert handled == ["b1", "a1", "a2"]


async def test_a_full_queue_refuses_and_says_what_to_do(app: App) -> None:
    orders = app.queue("orders", Order, max_length=2)
    async with app.test():
        await orders.send(Order("1"))
        await orders.send(Order("2"))
        with pytest.raises(FullError, match="2 messages wait"):
            await orders.send(Order("3"))
        assert (await orders.stats()).ready == 2


async def test_a_value_of_another_type_is_refused(app: App) -> None:
    orders = app.queue("orders", Order)
    async with app.test():
        with pytest.raises(SchemaError, match="Order"):
            await orders.send("an order")  # pyright: ignore[reportArgumentType]


async def test_a_queue_of_a_closed_app_says_how_to_open_it(app: App) -> None:
    orders = app.queue("orders", Order)
    with pytest.raises(ConfigError, match="`isthmus run`, or use `async with app:`"):
        await orders.send(Order("1"))


async def test_a_second_queue_of_the_name_is_refused(app: App) -> None:
    app.queue("orders", Order)
    with pytest.raises(ConfigError, match="queue 'orders' is declared twice"):
        app.queue("orders", Order)


async def test_a_second_handler_is_refused(app: App) -> None:
    orders = app.queue("orders", Order)

    @orders.handler()
    async def accept(order: Order) -> None: ...

    with pytest.raises(ConfigError, match="has a handler already"):
        orders.handler()


async def test_an_option_out_of_range_names_the_range(app: App) -> None:
    orders = app.queue("orders", Order)
    with pytest.raises(ConfigError, match="concurrency=0 is out of range: 1 to 10000"):

        @orders.handler(concurrency=0)
        async def accept(order: Order) -> None: ...


async def test_a_name_no_engine_can_carry_is_refused(app: App) -> None:
    with pytest.raises(ConfigError, match="queue name 'or ders' is not allowed"):
        app.queue("or ders", Order)


async def test_a_batch_handler_gets_what_is_ready(app: App) -> None:
    orders, batches = app.queue("orders", Order), list[int]()

    @orders.handler(batch=10, concurrency=1)
    async def accept(batch: Sequence[Order], tx: Transaction) -> None:
        batches.append(len(batch))

    async with app.test() as t:
        await orders.send_many([Order(str(n)) for n in range(25)])
        await t.settle()
        assert sum(batches) == 25
        assert max(batches) == 10


async def test_a_failing_batch_is_taken_apart(app: App) -> None:
    orders, handled = app.queue("orders", Order), set[str]()

    @orders.handler(batch=10, concurrency=1, retry=Retry(attempts=2, delay=1, jitter="none"))
    async def accept(batch: list[Order]) -> None:
        if any(order.id == "13" for order in batch):
            raise ValueError("poison")
        handled.update(order.id for order in batch)

    async with app.test() as t:
        await orders.send_many([Order(str(n)) for n in range(25)])
        await t.advance(10)
        (letter,) = await orders.dead_letters.list()
    assert handled == {str(n) for n in range(25)} - {"13"}
    assert msgspec.json.decode(letter.message.body, type=Order).id == "13"


async def test_a_handler_that_never_returns_is_cut_and_its_message_retried(app: App) -> None:
    orders, attempts = app.queue("orders", Order), list[int]()

    @orders.handler(timeout=30, retry=Retry(attempts=2, delay=1, jitter="none"))
    async def accept(order: Order, delivery: Delivery) -> None:
        attempts.append(delivery.attempt)
        await t.clock.sleep(1e6)

    async with app.test() as t:
        await orders.send(Order("1"))
        await t.advance(100)
        (letter,) = await orders.dead_letters.list()
    assert attempts == [1, 2]
    assert "did not return in 30 s" in letter.failures[0].error


async def test_a_long_handler_keeps_its_message(app: App) -> None:
    orders, handled = app.queue("orders", Order), list[int]()

    @orders.handler(lease=10, timeout=10_000)
    async def accept(order: Order, delivery: Delivery) -> None:
        await t.clock.sleep(500)
        handled.append(delivery.attempt)

    async with app.test() as t:
        await orders.send(Order("1"))
        await t.advance(600)
    assert handled == [1]


async def test_a_rate_limits_what_is_begun(app: App) -> None:
    orders, handled = app.queue("orders", Order), list[float]()

    @orders.handler(rate=10)
    async def accept(order: Order) -> None:
        handled.append(t.clock.now())

    async with app.test() as t:
        await orders.send_many([Order(str(n)) for n in range(100)])
        began = t.clock.now()
        await t.advance(5)
        assert 48 <= len(handled) <= 52
        await t.advance(6)
    assert len(handled) == 100
    assert handled[-1] - began > 9


async def test_a_paused_queue_begins_nothing_until_it_is_resumed(app: App) -> None:
    orders, handled = app.queue("orders", Order), list[Order]()

    @orders.handler()
    async def accept(order: Order) -> None:
        handled.append(order)

    async with app.test() as t:
        await orders.pause()
        await t.advance(2)
        await orders.send(Order("1"))
        await t.advance(10)
        assert handled == []
        assert await orders.is_paused()
        await orders.resume()
        await t.advance(2)
    assert handled == [Order("1")]


async def test_what_a_queue_does_not_carry_is_told_with_its_name(app: App) -> None:
    orders = app.queue("orders", Order)
    wrong: Any = {"id": "1"}
    async with app.test():
        with pytest.raises(SchemaError, match=r"^queue 'orders' carries Order, got dict: "):
            await orders.send(wrong)


def test_a_decorator_without_parentheses_is_told_how_to_write_it(app: App) -> None:
    orders: Any = app.queue("orders", Order)
    accepted: Any = app.topic("accepted", Order)

    async def accept(order: Order) -> None: ...

    with pytest.raises(ConfigError, match=r"write @orders\.handler\(\), with parentheses"):
        orders.handler(accept)
    with pytest.raises(ConfigError, match=r'@\.\.\.\.subscription\("name"\)'):
        accepted.subscription(accept)
