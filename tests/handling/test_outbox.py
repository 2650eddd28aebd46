"""Rows in one database, messages on another engine: both, or neither."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest

from isthmus import App, ConfigError, Message, Retry, Transaction
from isthmus.contracts import Receiver
from isthmus.handling.facts import ConsumerStalled, DuplicateSkipped, MessageRetried
from isthmus.handling.outbox import OUTBOX, RELAY, TO
from isthmus.handling.relay import Relay
from isthmus.signals import Signal


class Order(msgspec.Struct, frozen=True):
    id: str
    account: str = "acc"


SOON = Retry(attempts=3, delay=0.01, jitter="none")


@pytest.fixture(params=["memory", "sqlite"])
def app(request: pytest.FixtureRequest, tmp_path: Path) -> App:
    """An App whose messages are on another engine than its rows."""
    engines = {"memory": f"memory://{tmp_path.name}", "sqlite": f"sqlite:///{tmp_path}/engine.db"}
    (tmp_path / "1.sql").write_text("create table rows (id text)")
    store = f"sqlite:///{tmp_path}/store.db?durability=normal"
    app = App("shop", engine=engines[request.param], store=store)
    app.migrations(tmp_path)
    return app


@asynccontextmanager
async def running(app: App) -> AsyncGenerator[None]:
    """Run an App that is to be open already, so that its memory stays when it ends."""
    from isthmus.handling.running.runtime import Runtime

    runtime = Runtime(app.declarations, app.declarations.host)
    task = asyncio.create_task(runtime.run())
    yield
    await runtime.drain()
    await task


async def insert(tx: Transaction, order: Order) -> None:
    await tx.execute("insert into rows values (:id)", id=order.id)


async def rows(app: App) -> list[str]:
    async with app.transaction() as tx:
        return [row.id for row in await tx.fetch("select id from rows order by rowid")]


async def in_outbox(app: App) -> list[Message]:
    waiting = await app.declarations.host.letters.browse(OUTBOX, RELAY)
    return [each.message for each in waiting]


def heard(app: App, kind: type[Signal]) -> asyncio.Event:
    event = asyncio.Event()
    app.signals.listen(kind, lambda _: event.set())
    return event


async def test_what_a_handler_sends_leaves_with_its_rows(app: App) -> None:
    orders, mails = app.queue("orders", Order), app.queue("mails", Order)
    mailed = asyncio.Queue[Order]()

    @orders.handler()
    async def accept(order: Order, tx: Transaction) -> None:
        await insert(tx, order)
        await mails.send(order)

    @mails.handler()
    async def mail(order: Order) -> None:
        await mailed.put(order)

    async with app, running(app):
        await orders.send(Order("1"))
        assert await mailed.get() == Order("1")
        assert await rows(app) == ["1"]


async def test_what_a_failed_attempt_sent_never_leaves(app: App) -> None:
    orders, mails = app.queue("orders", Order), app.queue("mails", Order)
    mailed, attempts = asyncio.Queue[str](), list[str]()

    @orders.handler(retry=SOON)
    async def accept(order: Order, tx: Transaction) -> None:
        attempts.append(f"attempt {len(attempts) + 1}")
        await insert(tx, order)
        await mails.send(Order(attempts[-1]))
        if len(attempts) < 3:
            raise ValueError("not yet")

    @mails.handler()
    async def mail(order: Order) -> None:
        await mailed.put(order.id)

    async with app, running(app):
        await orders.send(Order("1"))
        assert await mailed.get() == "attempt 3"
        assert await rows(app) == ["1"]
    assert mailed.empty()
    async with app:  # what was relayed is acknowledged when the workers have ended
        assert await in_outbox(app) == []


async def test_a_transaction_that_is_rolled_back_sends_nothing(app: App) -> None:
    orders = app.queue("orders", Order)
    async with app:
        with pytest.raises(ValueError, match="changed my mind"):
            async with app.transaction() as tx:
                await insert(tx, Order("1"))
                await orders.send(Order("1"))
                raise ValueError("changed my mind")
        assert await in_outbox(app) == []
        assert await rows(app) == []
        assert (await orders.stats()).ready == 0


async def test_a_transaction_waits_in_the_outbox_until_somebody_relays(app: App) -> None:
    orders, handled = app.queue("orders", Order), asyncio.Queue[Order]()

    @orders.handler()
    async def accept(order: Order) -> None:
        await handled.put(order)

    async with app:
        async with app.transaction() as tx:
            await insert(tx, Order("1"))
            await orders.send(Order("1"))
        assert len(await in_outbox(app)) == 1
        assert (await orders.stats()).ready == 0
        async with running(app):
            assert await handled.get() == Order("1")


Crash = Callable[[App], Awaitable[None]]


async def relay_and_die(app: App) -> None:
    """Send what is in the outbox to the engine, as a relay that dies before it acknowledges."""
    host = app.declarations.host
    receiver: Receiver = await host.letters.receiver(OUTBOX, RELAY, limit=10, lease=1.0)
    for delivery in await receiver.receive(10, wait=0.0):
        message = delivery.message.without_headers((TO,))
        await host.queue.send("orders", [message])
    await receiver.aclose()


async def test_a_relay_that_dies_between_send_and_ack_sends_again_and_has_one_effect(
    app: App,
) -> None:
    orders = app.queue("orders", Order)

    @orders.handler()
    async def accept(order: Order, tx: Transaction) -> None:
        await insert(tx, order)

    async with app:
        async with app.transaction():
            await orders.send(Order("1"))
        await relay_and_die(app)
        skipped = heard(app, DuplicateSkipped)
        async with running(app):
            await skipped.wait()
            assert await rows(app) == ["1"]
        assert await in_outbox(app) == []


async def test_messages_of_one_key_leave_in_their_order(app: App) -> None:
    ledger = app.queue("ledger", Order, ordered=True)
    done = asyncio.Event()

    @ledger.handler()
    async def post(order: Order, tx: Transaction) -> None:
        await insert(tx, order)
        if order.id == "59":
            done.set()

    async with app:
        for start in range(0, 60, 3):
            async with app.transaction():
                for n in range(start, start + 3):
                    await ledger.send(Order(str(n)), key="acc")
        async with running(app):
            await done.wait()
        assert await rows(app) == [str(n) for n in range(60)]


async def test_a_record_appended_in_a_handler_leaves_with_its_rows(app: App) -> None:
    orders, ledger = app.queue("orders", Order), app.stream("ledger", Order, key="account")
    posted = asyncio.Queue[Order]()

    @orders.handler(retry=SOON)
    async def accept(order: Order, tx: Transaction) -> None:
        await ledger.append(order)
        await insert(tx, order)
        if len(await tx.fetch("select id from rows")) == 1 and not retried.is_set():
            raise ValueError("not yet")

    @ledger.group("balances")
    async def post(order: Order) -> None:
        await posted.put(order)

    retried = heard(app, MessageRetried)
    async with app, running(app):
        await orders.send(Order("1"))
        assert await posted.get() == Order("1")
        assert await rows(app) == ["1"]
        assert [order.id async for order in ledger.read()] == ["1"]


async def test_a_delayed_message_is_cancelled_wherever_it_waits(app: App) -> None:
    orders = app.queue("orders", Order)
    async with app:
        waiting = await orders.send(Order("1"), delay=60)
        async with app.transaction():
            held_up = await orders.send(Order("2"), delay=60)
        assert len(await in_outbox(app)) == 1
        assert await orders.cancel(waiting)
        assert await orders.cancel(held_up)
        assert not await orders.cancel(held_up)
        assert await in_outbox(app) == []


async def test_a_body_the_engine_would_refuse_is_refused_before_it_is_committed(app: App) -> None:
    papers = app.queue("papers", bytes)
    async with app:
        with pytest.raises(ConfigError, match=r"'papers' has .* bytes, at most .*claim check"):
            async with app.transaction():
                await papers.send(b"x" * (17 * 2**20))
        assert await in_outbox(app) == []


async def test_what_the_engine_refuses_waits_and_holds_up_nobody(app: App) -> None:
    orders, handled = app.queue("orders", Order), asyncio.Queue[Order]()

    @orders.handler()
    async def accept(order: Order) -> None:
        await handled.put(order)

    stalled = list[str]()
    app.signals.listen(ConsumerStalled, lambda signal: stalled.append(signal.address))
    async with app:
        host = app.declarations.host
        stranger = Message(body=b"{}", id="stranger", headers={TO: "log:gone"})
        await host.letters.send(OUTBOX, [stranger])
        async with app.transaction():
            await orders.send(Order("1"))
        async with running(app):
            assert await handled.get() == Order("1")
        assert set(stalled) == {"log:gone"}
        assert [message.id for message in await in_outbox(app)] == ["stranger"]


async def test_a_relay_outlives_a_store_that_is_out_of_reach(app: App) -> None:
    from isthmus.testing import Chaos, Chaotic, Fault

    orders = app.queue("orders", Order)
    async with app:
        async with app.transaction():
            await orders.send(Order("1"))
        host = app.declarations.host
        host.state = Chaotic(host.state, Chaos([Fault.NONE, Fault.BEFORE]))
        stalled, relay = heard(app, ConsumerStalled), Relay()
        task = asyncio.create_task(relay.run(host))
        await stalled.wait()
        receiver = await host.queue.receiver("orders", "orders", limit=1, lease=30)
        (delivery,) = await receiver.receive(1, wait=30)
        assert delivery.message.headers == {}
        await relay.drain()
        await task
        await receiver.aclose()
