"""A policy around a handler."""

import json
from typing import Any

import msgspec
import pytest

from isthmus import App, ConfigError, Message, Postpone, Reject, Retry, Transaction
from isthmus.handling.facts import ConsumerPaused, ConsumerResumed
from isthmus.messaging import DeclaredHandler
from isthmus.resilience import (
    Bulkhead,
    Cache,
    CircuitBreaker,
    Fallback,
    Feature,
    Hedge,
    Policies,
    Policy,
    RateLimit,
    Timeout,
)
from isthmus.resilience import Retry as Again
from isthmus.signals import Signal


class Order(msgspec.Struct):
    id: str


@pytest.fixture
def app() -> App:
    return App("shop")


SOON = Retry(attempts=3, delay=1, jitter="none")


@pytest.mark.parametrize(
    ("strategy", "way_out"),
    [
        (Again(3), "own retry="),
        (Hedge(1), "inside the handler"),
        (Fallback(None), "catch the error"),
        (Cache(60), "inside the handler"),
        (Feature("offers"), "pause"),
    ],
)
def test_what_makes_no_sense_around_a_handler_is_refused_with_the_way_out(
    app: App, strategy: Any, way_out: str
) -> None:
    policy = Policy(strategy, CircuitBreaker())
    for door in (
        app.queue("orders", Order).handler,
        lambda **words: app.stream("ledger", Order).group("all", **words),
        lambda **words: app.topic("placed", Order).subscription("mail", **words),
        lambda **words: app.schedule("nightly", every=60, **words),
    ):
        with pytest.raises(ConfigError, match=way_out):
            door(policy=policy)(handled)


async def handled(order: Order) -> None: ...


def test_a_policy_is_a_policy(app: App) -> None:
    wrong: Any = CircuitBreaker()
    with pytest.raises(ConfigError, match="expected a Policy"):
        app.queue("orders", Order).handler(policy=wrong)(handled)


async def test_a_breaker_around_a_handler_pauses_its_consumer(app: App) -> None:
    orders, done, told, up = app.queue("orders", Order), list[str](), list[Signal](), False
    app.signals.listen(ConsumerPaused, told.append)
    app.signals.listen(ConsumerResumed, told.append)
    circuit = CircuitBreaker(None, consecutive=3, open_for=3600)

    @orders.handler(policy=Policy(circuit, name="pay"), retry=SOON)
    async def accept(order: Order) -> None:
        if not up:
            raise ConnectionError("down")
        done.append(order.id)

    async with app.test() as t:
        for n in range(20):
            await orders.send(Order(str(n)))
        await t.settle()
        up = True
        circuit.reset()
        await t.advance(30)
        assert len(done) == 20
    assert isinstance(told[0], ConsumerPaused)
    assert told[0].policy == "pay"
    assert isinstance(told[-1], ConsumerResumed)


async def test_what_a_guarded_handler_wrote_is_undone_when_it_fails(app: App) -> None:
    orders, mails = app.queue("orders", Order), app.queue("mails", Order)

    @orders.handler(policy=Policy(Bulkhead(10), Timeout(30)), retry=Retry(attempts=1))
    async def accept(order: Order, tx: Transaction) -> None:
        await mails.send(order)
        if order.id == "bad":
            raise ValueError("bad")

    async with app.test() as t:
        await orders.send(Order("bad"))
        await orders.send(Order("good"))
        await t.settle()
        assert t.sent(mails) == [Order("good")]


@pytest.mark.parametrize("verdict", [Reject("no"), Postpone(1)])
async def test_a_verdict_is_no_failure_to_the_policy(app: App, verdict: Exception) -> None:
    orders, circuit = app.queue("orders", Order), CircuitBreaker(None, consecutive=1)
    tried = 0

    @orders.handler(policy=Policy(circuit))
    async def accept(order: Order) -> None:
        nonlocal tried
        tried += 1
        if tried == 1:
            raise verdict

    async with app.test() as t:
        await orders.send(Order("1"))
        await t.advance(5)
        assert circuit.state == "closed"
        assert await orders.dead_letters.count() == isinstance(verdict, Reject)


async def test_bytes_that_cannot_be_read_are_no_failure_to_the_policy(app: App) -> None:
    orders, circuit = app.queue("orders", Order), CircuitBreaker(None, consecutive=1)

    @orders.handler(policy=Policy(circuit))
    async def accept(order: Order) -> None: ...

    async with app.test() as t:
        await t.host.queue.send("orders", [Message(body=b"no json")])
        await t.settle()
        assert await orders.dead_letters.count() == 1
        assert circuit.state == "closed"


async def test_a_def_handler_is_guarded_too(app: App) -> None:
    orders, done = app.queue("orders", Order), list[str]()
    circuit = CircuitBreaker(None, consecutive=1)

    @orders.handler(policy=Policy(circuit), retry=SOON)
    def accept(order: Order) -> None:
        if order.id == "bad":
            raise ValueError("bad")
        done.append(order.id)

    async with app.test() as t:
        await orders.send(Order("good"))
        while not done:
            await t.settle()
        await orders.send(Order("bad"))
        while circuit.state == "closed":
            await t.settle()
    assert circuit.state == "open"


async def test_a_retry_that_configuration_adds_later_calls_nothing_twice(app: App) -> None:
    orders, tried = app.queue("orders", Order), 0
    policies = Policies()
    pay = policies.define("pay", CircuitBreaker(), idempotent=True)

    @orders.handler(policy=pay, retry=Retry(attempts=1))
    async def accept(order: Order) -> None:
        nonlocal tried
        tried += 1
        raise ConnectionError("down")

    async with app.test() as t:
        policies.load({"pay": {"retry": {"attempts": 3, "delay": 0}}}, environ={})
        await orders.send(Order("1"))
        await t.advance(5)
        assert tried == 1
        [letter] = await orders.dead_letters.list()
        assert "own retry=" in letter.failures[0].error


async def test_a_rate_limit_around_a_group_slows_it_and_parks_nothing(app: App) -> None:
    ledger, done = app.stream("ledger", Order, key="id"), list[str]()

    @ledger.group("all", retry=Retry(attempts=1))
    async def post(order: Order) -> None:
        done.append(order.id)

    @ledger.group("slow", policy=Policy(RateLimit(2, 1, name="slow")), retry=Retry(attempts=1))
    async def slow(order: Order) -> None:
        done.append(f"slow {order.id}")

    async with app.test() as t:
        await ledger.append(*(Order(str(n)) for n in range(6)))
        await t.settle()
        assert len([one for one in done if one.startswith("slow")]) == 2
        assert await ledger["slow"].parked() == 0


def test_a_policy_is_shown_where_the_handler_is_described(app: App) -> None:
    app.queue("orders", Order).handler(policy=Policy(Bulkhead(3), name="pay"))(handled)
    [record] = app.describe().of(DeclaredHandler)
    assert "Bulkhead(3" in json.dumps(msgspec.to_builtins(record, enc_hook=str))
