"""Bad input: an error that names the thing and the way out; never in the void.

What a sender gets wrong is refused where it is sent. What is wrong all the same, when
it is taken, ends in the dead letters, with everything that is needed to mend it.
"""

import asyncio
import logging
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from isthmus import (
    App,
    ConfigError,
    Message,
    NotFoundError,
    Retry,
    SchemaError,
    Transaction,
    schema,
)
from isthmus.clock import SystemClock
from isthmus.contracts import Delivery
from isthmus.handling.facts import HandlerSucceeded, MessageBuried
from isthmus.handling.running.trial import Trial
from isthmus.messaging import Queue


@schema("bad.order", version=2)
class Order(msgspec.Struct, frozen=True):
    id: str
    total: int


ONCE = Retry(attempts=2, delay=1, jitter="none")


class Shop:
    """A queue whose handler remembers what reached it."""

    def __init__(self) -> None:
        self.app = App("shop")
        self.orders: Queue[Order] = self.app.queue("orders", Order)
        self.handled = list[Order]()
        self.orders.handler(retry=ONCE)(self.accept)

    async def accept(self, order: Order) -> None:
        self.handled.append(order)

    async def only_letter(self) -> Any:
        (letter,) = await self.orders.dead_letters.list()
        return letter


@pytest.fixture
def shop() -> Shop:
    return Shop()


@pytest.fixture
async def t(shop: Shop) -> AsyncIterator[Trial]:
    async with shop.app.test() as t:
        yield t


# --- wrong types ------------------------------------------------------------------------------


async def test_a_value_of_another_type_is_refused_where_it_is_sent(shop: Shop, t: Trial) -> None:
    wrong: Any = {"id": "1"}
    with pytest.raises(SchemaError, match=r"Order.*dict|dict.*Order"):
        await shop.orders.send(wrong)
    assert t.sent(shop.orders) == []


async def test_a_field_of_another_type_is_found_when_it_is_read(shop: Shop, t: Trial) -> None:
    wrong: Any = "a lot"  # msgspec lets it pass, where a type checker would not
    await shop.orders.send(Order("1", wrong))
    await t.advance(0)
    assert "total" in (await shop.only_letter()).reason


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b'{"id": "1", "total": "much"}', "total"),
        (b'{"id": "1"}', "total"),
        (b"[1, 2]", "object"),
        (b"\xff\x00", "JSON|malformed|utf"),
    ],
    ids=["field", "missing", "shape", "noise"],
)
async def test_a_body_that_does_not_fit_is_a_dead_letter_that_keeps_it(
    shop: Shop, t: Trial, body: bytes, told: str
) -> None:
    await t.host.queue.send("orders", [Message(body=body, id="wrong", headers={"from": "afar"})])
    await t.settle()
    letter = await shop.only_letter()
    assert shop.handled == []
    assert (letter.message.body, letter.message.headers["from"]) == (body, "afar")
    assert letter.reason.startswith("unreadable: ")
    assert "bad.order" in letter.reason
    assert any(part in letter.reason for part in told.split("|")), letter.reason


async def test_what_fits_is_handled_beside_what_does_not(shop: Shop, t: Trial) -> None:
    await t.host.queue.send("orders", [Message(body=b"noise", id="wrong")])
    await shop.orders.send(Order("1", 1))
    await t.settle()
    assert shop.handled == [Order("1", 1)]
    assert (await shop.only_letter()).message.id == "wrong"


# --- unknown schema version -------------------------------------------------------------------


async def test_a_version_that_is_not_known_yet_is_a_dead_letter_to_replay_once_it_is(
    shop: Shop, t: Trial
) -> None:
    await shop.orders.send(Order("0", 0))
    await t.settle()
    known = t.messages(shop.orders)[0].dataschema
    newer = known.replace("2", "3")
    assert newer != known
    body = msgspec.json.encode(Order("1", 1))
    message = Message(body=body, id="new", type="bad.order", dataschema=newer)
    await t.host.queue.send("orders", [message])
    await t.settle()
    letter = await shop.only_letter()
    assert letter.reason.startswith("unreadable: ")
    assert "bad.order/3 is newer than bad.order/2" in letter.reason
    assert "deploy the consumers first" in letter.reason


# --- oversize ---------------------------------------------------------------------------------


@pytest.mark.parametrize("engine", ["memory://", "sqlite:///{}/shop.db"])
async def test_an_oversize_body_is_refused_with_its_size_and_the_limit(
    engine: str, tmp_path: Path
) -> None:
    app = App("shop", engine=engine.format(tmp_path))
    papers, press = app.queue("papers", bytes), app.topic("press", bytes)
    async with app:
        for send in (papers.send, press.publish):
            with pytest.raises(ConfigError, match=r"'p.*has 17825792 bytes, at most 16777216.*ref"):
                await send(b"x" * (17 * 2**20))
        assert (await papers.stats()).ready == 0


async def test_a_handler_that_sends_what_is_oversize_fails_and_its_message_is_kept() -> None:
    app = App("shop")
    orders, papers = app.queue("orders", Order), app.queue("papers", bytes)

    @orders.handler(retry=ONCE)
    async def accept(order: Order) -> None:
        await papers.send(b"x" * (17 * 2**20))

    async with app.test() as t:
        await orders.send(Order("1", 1))
        await t.advance(10)
        (letter,) = await orders.dead_letters.list()
        assert t.sent(papers) == []
    assert "at most 16777216" in letter.failures[-1].error


# --- unknown names ----------------------------------------------------------------------------


async def test_an_unknown_queue_is_named_and_nothing_moves(shop: Shop, t: Trial) -> None:
    await t.host.queue.send("orders", [Message(body=b"noise", id="wrong")])
    await t.settle()
    with pytest.raises(NotFoundError, match=r"'nowhere'.*isthmus queues"):
        await shop.orders.dead_letters.replay(to="nowhere")
    assert await shop.orders.dead_letters.count() == 1


async def test_an_unknown_dead_letter_is_named(shop: Shop, t: Trial) -> None:
    with pytest.raises(NotFoundError, match=r"'orders' has the id 'none'"):
        await shop.orders.dead_letters.show("none")


def test_an_unknown_subscription_is_named_with_those_that_are_known() -> None:
    topic = App("shop").topic("accepted", Order)

    @topic.subscription("mail")
    async def mail(order: Order) -> None: ...

    with pytest.raises(ConfigError, match="'accepted' has no subscription 'male'; it has mail"):
        topic["male"]


async def test_an_unknown_worker_is_named_with_those_that_are_known(shop: Shop) -> None:
    shop.app.configure(engine="memory://")
    with pytest.raises(ConfigError, match=r"'queue:oders'; there are: queue:orders"):
        await shop.app.run(only=["queue:oders"])


async def test_sending_before_the_app_is_open_says_how_to_open_it(shop: Shop) -> None:
    with pytest.raises(ConfigError, match=r"async with app|app\.open|isthmus run"):
        await shop.orders.send(Order("1", 1))


# --- a clock that goes backwards --------------------------------------------------------------


async def test_a_clock_that_goes_back_loses_nothing_and_repeats_nothing(
    shop: Shop, t: Trial
) -> None:
    await shop.orders.send(Order("before", 1))
    await shop.orders.send(Order("delayed", 1), delay=30)
    await t.settle()
    t.clock.set_back(3600)
    await shop.orders.send(Order("after", 1))
    await shop.orders.send(Order("before", 1))
    await t.settle()
    assert [order.id for order in shop.handled] == ["before", "after", "before"]
    await t.advance(3700)
    assert [order.id for order in shop.handled] == ["before", "after", "before", "delayed"]
    assert (await shop.orders.stats()).leased == 0


async def test_a_message_that_is_retried_over_a_step_back_comes_back() -> None:
    app, attempts = App("shop"), list[int]()
    orders = app.queue("orders", Order)

    @orders.handler(retry=Retry(attempts=3, delay=10, jitter="none"))
    async def accept(order: Order, delivery: Delivery) -> None:
        attempts.append(delivery.attempt)
        if len(attempts) == 1:
            t.clock.set_back(3600)
            raise ValueError("not yet")

    async with app.test() as t:
        await orders.send(Order("1", 1))
        await t.advance(3700)
        assert attempts == [1, 2]
        assert await orders.dead_letters.count() == 0


async def test_a_handler_that_runs_while_the_clock_steps_back_keeps_its_message() -> None:
    app, handled = App("shop"), list[int]()
    orders = app.queue("orders", Order)

    @orders.handler(lease=10)
    async def accept(order: Order, delivery: Delivery) -> None:
        t.clock.set_back(3600)
        await t.clock.sleep(30)
        handled.append(delivery.attempt)

    async with app.test() as t:
        await orders.send(Order("1", 1))
        await t.advance(8000)
    assert handled == [1]


def test_a_step_back_of_the_machines_clock_is_told_with_the_way_out(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    clock, moments = SystemClock(), [1000.0, 940.0]
    monkeypatch.setattr(time, "time", lambda: moments[0])
    with caplog.at_level(logging.WARNING):
        assert clock.now() == 1000.0
        del moments[0]
        assert clock.now() == 940.0
    assert "went back 60.0 s" in caplog.text
    assert "NTP" in caplog.text


# --- a handler that never returns -------------------------------------------------------------


async def test_a_handler_that_never_returns_is_a_dead_letter_that_says_so() -> None:
    app, done = App("shop"), list[str]()
    orders = app.queue("orders", Order)

    @orders.handler(timeout=30, concurrency=2, retry=ONCE)
    async def accept(order: Order, tx: Transaction) -> None:
        if order.id == "hangs":
            await asyncio.get_running_loop().create_future()
        done.append(order.id)

    async with app.test() as t:
        for name in ("hangs", "a", "b", "c"):
            await orders.send(Order(name, 1))
        await t.advance(120)
        (letter,) = await orders.dead_letters.list()
        assert (await orders.stats()).leased == 0
    assert sorted(done) == ["a", "b", "c"]
    assert letter.reason == "failed 2 times"
    assert "'orders' did not return in 30 s; give it a larger timeout=" in letter.failures[0].error


async def test_a_def_handler_that_never_returns_is_a_dead_letter_and_the_others_go_on(
    tmp_path: Path,
) -> None:
    app = App("shop", engine=f"sqlite:///{tmp_path}/shop.db")
    done, never = list[str](), threading.Event()
    orders = app.queue("orders", Order)

    @orders.handler(timeout=0.5, retry=Retry(attempts=2, delay=0.01))
    def accept(order: Order) -> None:
        if order.id == "hangs":
            never.wait()
        done.append(order.id)

    buried = asyncio.Event()
    succeeded = asyncio.Event()
    app.signals.listen(MessageBuried, lambda _: buried.set())
    app.signals.listen(HandlerSucceeded, lambda _: succeeded.set())
    async with app:
        await orders.send(Order("hangs", 1))
    running = asyncio.create_task(app.run())
    await buried.wait()
    await orders.send(Order("fine", 1))
    await succeeded.wait()
    (letter,) = await orders.dead_letters.list()
    await app.drain()
    await running
    never.set()
    assert "did not return in 0.5 s" in letter.failures[-1].error
    assert "fine" in done


async def test_a_handler_that_ignores_its_end_once_does_not_save_the_next() -> None:
    app = App("shop")
    orders = app.queue("orders", Order)

    @orders.handler(timeout=5, concurrency=1, retry=Retry(attempts=1))
    async def accept(order: Order) -> None:
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            if order.id != "ignores":
                raise

    async with app.test() as t:
        await orders.send(Order("ignores", 1))
        await orders.send(Order("hangs", 1))
        await t.advance(60)
        (letter,) = await orders.dead_letters.list()
        assert "hangs" in letter.message.body.decode()
        assert (await orders.stats()).leased == 0


def test_a_topic_of_nothing_and_a_span_in_words_are_refused_where_they_are_said() -> None:
    app = App("shop", engine="memory://")
    with pytest.raises(ConfigError, match="topic 'orders': say what it carries"):
        app.topic("orders")
    with pytest.raises(TypeError, match="'1d': expected seconds"):
        app.queue("orders", Order, retention="1d")  # pyright: ignore[reportArgumentType]
