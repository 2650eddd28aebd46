"""Requests over queues: an answer that is committed, an error that tells nothing, or no answer."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest

from isthmus import (
    App,
    Batch,
    ConfigError,
    Message,
    Refusal,
    Reject,
    RemoteError,
    Retry,
    SchemaError,
    TimedOutError,
    Transaction,
)
from isthmus.deadline import deadline, remaining
from isthmus.errors import FullError
from isthmus.handling.facts import RequestRefused
from isthmus.handling.host import Host
from isthmus.handling.running.ephemeral import Ephemeral
from isthmus.messaging import DeclaredHandler, replies
from isthmus.messaging.replies import Replies
from isthmus.resilience import Bulkhead, Policy
from isthmus.resilience.errors import DeadlinePassedError


class Ask(msgspec.Struct):
    sku: str


class Quote(msgspec.Struct):
    sku: str
    cents: int = 1


class SoldOut(Refusal, code="shop.sold-out"):
    def __init__(self, sku: str) -> None:
        super().__init__(f"no {sku} left", sku=sku)


@pytest.fixture
def app() -> App:
    return App("shop")


async def test_what_a_handler_returns_is_the_answer(app: App) -> None:
    prices = app.queue("prices", Ask)

    @prices.handler()
    async def quote(ask: Ask) -> Quote:
        return Quote(ask.sku, 700)

    async with app.test():
        assert await prices.request(Ask("lamp"), result=Quote, timeout=2) == Quote("lamp", 700)


async def test_many_requests_get_their_own_answers(app: App) -> None:
    prices = app.queue("prices", Ask)

    @prices.handler()
    async def quote(ask: Ask) -> Quote:
        return Quote(ask.sku)

    async with app.test():
        skus = [str(number) for number in range(100)]
        found = await asyncio.gather(*(prices.request(Ask(s), result=Quote) for s in skus))
        assert [quote.sku for quote in found] == skus


@pytest.mark.parametrize("shape", ["plain", "message", "def", "policy", "transaction", "untyped"])
async def test_handlers_of_every_shape_answer(app: App, shape: str) -> None:
    prices = app.queue("prices", Ask)

    async def plain(ask: Ask) -> Quote:
        return Quote(ask.sku)

    async def with_message(ask: Ask, message: Message) -> Quote:
        return Quote(ask.sku)

    def blocking(ask: Ask) -> Quote:
        return Quote(ask.sku)

    async def with_transaction(ask: Ask, tx: Transaction) -> Quote:
        return Quote(ask.sku)

    async def untyped(ask):
        return Quote(ask.sku)

    shapes = {
        "plain": plain,
        "policy": plain,
        "message": with_message,
        "def": blocking,
        "transaction": with_transaction,
        "untyped": untyped,
    }
    prices.handler(policy=Policy(Bulkhead(5)) if shape == "policy" else None)(shapes[shape])
    async with app.test():
        assert await prices.request(Ask("lamp"), result=Quote) == Quote("lamp")


async def test_a_handler_that_returns_nothing_says_that_it_is_done(app: App) -> None:
    prices, done = app.queue("prices", Ask), list[str]()

    @prices.handler()
    async def note(ask: Ask) -> None:
        done.append(ask.sku)

    async with app.test():
        assert await prices.request(Ask("lamp"), result=type(None)) is None
        assert done == ["lamp"]
        with pytest.raises(SchemaError, match=r"request to .*: the answer is not a"):
            await prices.request(Ask("lamp"), result=Quote)


async def test_answers_may_be_of_every_type_a_message_may_be(app: App) -> None:
    @dataclass
    class Old:
        n: int

    prices, names, maybe = (app.queue(name, Ask) for name in ("prices", "names", "maybe"))

    @prices.handler()
    async def numbers(ask: Ask) -> list[int]:
        return [1, 2]

    @names.handler()
    async def old(ask: Ask) -> Old:
        return Old(3)

    @maybe.handler()
    async def perhaps(ask: Ask) -> Quote | None:
        return None if ask.sku == "none" else Quote(ask.sku)

    async with app.test():
        assert await prices.request(Ask("x"), result=list[int]) == [1, 2]
        assert await names.request(Ask("x"), result=Old) == Old(3)
        assert await maybe.request(Ask("none"), result=type(None)) is None
        assert await maybe.request(Ask("lamp"), result=Quote) == Quote("lamp")


async def test_a_message_that_nobody_waits_for_is_handled_as_ever(app: App) -> None:
    prices, asked = app.queue("prices", Ask), list[str]()

    @prices.handler()
    async def quote(ask: Ask) -> Quote:
        asked.append(ask.sku)
        return Quote(ask.sku)

    async with app.test() as t:
        await prices.send(Ask("lamp"))
        await t.settle()
        assert asked == ["lamp"]
        assert await prices.dead_letters.count() == 0


# --- the answer is committed ---------------------------------------------------------------------


async def test_an_answer_is_not_there_before_the_handler_has_committed(app: App) -> None:
    prices, told = app.queue("prices", Ask), app.queue("told", Quote)
    attempts = 0

    @prices.handler(retry=Retry(3, delay=1, jitter="none"))
    async def quote(ask: Ask) -> Quote:
        nonlocal attempts
        attempts += 1
        await told.send(Quote(ask.sku, attempts))
        if attempts == 1:
            raise ValueError("not yet")
        return Quote(ask.sku, attempts)

    async with app.test() as t:
        asking = asyncio.create_task(prices.request(Ask("lamp"), result=Quote, timeout=30))
        await t.settle()
        assert not asking.done()
        assert t.sent(told) == []
        await t.advance(2)
        assert asking.result() == Quote("lamp", 2)
        assert t.sent(told) == [Quote("lamp", 2)]


async def test_what_is_no_answer_is_a_dead_letter_and_undoes_the_rest(app: App) -> None:
    prices, told = app.queue("prices", Ask), app.queue("told", Quote)

    @prices.handler()
    async def quote(ask: Ask) -> Quote:
        await told.send(Quote(ask.sku))
        return "seven"  # type: ignore[return-value]

    async with app.test() as t:
        with pytest.raises(RemoteError):
            await prices.request(Ask("lamp"), result=Quote)
        await t.settle()
        [letter] = await prices.dead_letters.list()
        assert letter.reason == "rejected: the answer to Ask carries Quote, got str: 'seven'"
        assert t.sent(told) == []


async def test_an_id_asked_again_has_its_effect_once_and_the_same_answer(app: App) -> None:
    prices, again = app.queue("prices", Ask), list[int]()

    @prices.handler()
    async def quote(ask: Ask) -> Quote:
        again.append(1)
        return Quote(ask.sku, len(again))

    async with app.test() as t:
        first = await prices.request(Ask("lamp"), result=Quote, id="1")
        await t.advance(3600)
        assert await prices.request(Ask("lamp"), result=Quote, id="1") == first
        other = await prices.request(Ask("lamp"), result=Quote, id="2")
        assert (len(again), other.cents) == (2, 2)


async def test_twins_that_ask_at_once_get_one_answer(app: App) -> None:
    prices, runs, go = app.queue("prices", Ask), list[str](), asyncio.Event()

    @prices.handler()
    async def quote(ask: Ask) -> Quote:
        runs.append(ask.sku)
        await go.wait()
        return Quote(ask.sku, len(runs))

    async with app.test() as t:
        asking = [
            asyncio.create_task(prices.request(Ask("lamp"), result=Quote, id="1", timeout=30))
            for _ in range(5)
        ]
        await t.settle()
        go.set()
        await t.advance(5)
        assert {task.result().cents for task in asking} == {1}
        assert runs == ["lamp"]


async def test_an_answer_without_an_id_is_not_kept(app: App) -> None:
    prices = app.queue("prices", Ask)

    @prices.handler()
    async def quote(ask: Ask, message: Message) -> str:
        return message.id

    async with app.test() as t:
        name = await prices.request(Ask("lamp"), result=str)
        kept = await t.host.store.get("inbox/prices", [name])
        assert kept[name].value == b""
        await prices.request(Ask("lamp"), result=str, id="mine")
        assert (await t.host.store.get("inbox/prices", ["mine"]))["mine"].value


# --- errors --------------------------------------------------------------------------------------


async def test_a_refusal_is_raised_where_it_was_asked(app: App) -> None:
    prices, told = app.queue("prices", Ask), app.queue("told", Quote)
    refused = list[RequestRefused]()
    app.signals.listen(RequestRefused, refused.append)

    @prices.handler()
    async def quote(ask: Ask) -> Quote:
        await told.send(Quote(ask.sku))
        raise SoldOut(ask.sku)

    async with app.test() as t:
        with pytest.raises(SoldOut, match="no lamp left") as caught:
            await prices.request(Ask("lamp"), result=Quote)
        assert caught.value.members == {"sku": "lamp"}
        await t.settle()
        assert t.sent(told) == []
        assert await prices.dead_letters.count() == 0
        assert (await prices.stats()).ready == 0
    assert [each.code for each in refused] == ["shop.sold-out"]


async def test_a_refusal_of_an_unknown_code_is_a_refusal(app: App) -> None:
    prices = app.queue("prices", Ask)

    @prices.handler()
    async def quote(ask: Ask) -> Quote:
        error = Refusal("not today")
        error.code = "their.own"
        raise error

    async with app.test():
        with pytest.raises(Refusal, match="not today") as caught:
            await prices.request(Ask("lamp"), result=Quote)
        assert caught.value.code == "their.own"


async def test_a_refusal_of_what_nobody_asked_for_is_a_dead_letter(app: App) -> None:
    prices = app.queue("prices", Ask)

    @prices.handler()
    async def quote(ask: Ask) -> Quote:
        raise SoldOut(ask.sku)

    async with app.test() as t:
        await prices.send(Ask("lamp"))
        await t.settle()
        [letter] = await prices.dead_letters.list()
        assert letter.reason == "rejected: no lamp left"


def test_a_code_stands_for_one_class() -> None:
    with pytest.raises(ConfigError, match="both have the code"):
        type("Other", (Refusal,), {"__module__": "elsewhere"}, code="shop.sold-out")


async def test_a_failure_tells_nothing_of_the_inside(app: App) -> None:
    prices = app.queue("prices", Ask)

    @prices.handler(retry=Retry(1))
    async def quote(ask: Ask) -> Quote:
        raise ValueError("the password is hunter2")

    async with app.test():
        with pytest.raises(RemoteError) as caught:
            await prices.request(Ask("lamp"), result=Quote)
        assert not isinstance(caught.value, Refusal)
        assert "hunter2" not in f"{caught.value!r} {caught.value.members}"
        [letter] = await prices.dead_letters.list()
        assert "hunter2" in letter.failures[0].error


@pytest.mark.parametrize("error", [Reject("no"), ValueError("no")])
async def test_whoever_asked_is_told_at_once_that_it_is_given_up(
    app: App, error: Exception
) -> None:
    prices = app.queue("prices", Ask)

    @prices.handler(retry=Retry(5, delay=100, jitter="none"))
    async def quote(ask: Ask) -> Quote:
        raise error

    async with app.test():
        with pytest.raises(RemoteError):  # time stands still: nobody waits for a second attempt
            await prices.request(Ask("lamp"), result=Quote, timeout=50)


async def test_what_cannot_be_read_is_told_to_who_asked(app: App) -> None:
    prices = app.queue("prices", Ask)
    others = App("others")

    @prices.handler()
    async def quote(ask: Ask) -> Quote:
        raise AssertionError

    async with app.test() as t:
        elsewhere = others.queue("prices", int)
        await elsewhere._bind(t.host)  # as another program would, on the same engine
        with pytest.raises(RemoteError):
            await elsewhere.request(7, result=Quote)
        [letter] = await prices.dead_letters.list()
        assert letter.reason.startswith("unreadable")


async def test_a_batch_answers_nobody(app: App) -> None:
    prices, others = app.queue("prices", Ask), App("others")

    @prices.handler(batch=10)
    async def quote(batch: Batch[Ask]) -> None:
        raise AssertionError

    async with app.test() as t:
        with pytest.raises(ConfigError, match="batches"):
            await prices.request(Ask("lamp"), result=Quote)
        elsewhere = others.queue("prices", Ask)
        await elsewhere._bind(t.host)
        with pytest.raises(RemoteError):
            await elsewhere.request(Ask("lamp"), result=Quote)
        [letter] = await prices.dead_letters.list()
        assert letter.reason == "asked for an answer, and a batch gives none"


# --- time ----------------------------------------------------------------------------------------


async def test_without_an_answer_it_ran_perhaps(app: App) -> None:
    prices = app.queue("prices", Ask)
    async with app.test() as t:
        asking = asyncio.create_task(prices.request(Ask("lamp"), result=Quote, timeout=2))
        await t.advance(1.9)
        assert not asking.done()
        await t.advance(0.2)
        with pytest.raises(TimedOutError, match="it ran, perhaps"):
            await asking
        assert t.host.kept(Replies).waiting == 0


async def test_a_request_is_not_handled_after_its_deadline(app: App) -> None:
    prices, asked = app.queue("prices", Ask), list[str]()

    @prices.handler()
    async def quote(ask: Ask) -> Quote:
        asked.append(ask.sku)
        return Quote(ask.sku)

    async with app.test() as t:
        await prices.pause()
        asking = asyncio.create_task(prices.request(Ask("lamp"), result=Quote, timeout=2))
        await t.advance(3)
        await prices.resume()
        await t.advance(3)
        assert isinstance(asking.exception(), TimedOutError)
        assert asked == []
        [letter] = await prices.dead_letters.list()
        assert "expired" in letter.reason


async def test_a_replayed_request_is_handled_and_answers_nobody(app: App) -> None:
    prices, asked = app.queue("prices", Ask), list[str]()

    @prices.handler(retry=Retry(1))
    async def quote(ask: Ask) -> Quote:
        asked.append(ask.sku)
        if len(asked) == 1:
            raise ValueError("not now")
        return Quote(ask.sku)

    async with app.test() as t:
        with pytest.raises(RemoteError):
            await prices.request(Ask("lamp"), result=Quote)
        await t.advance(60)
        await prices.dead_letters.replay()
        await t.settle()
        assert asked == ["lamp", "lamp"]
        assert await prices.dead_letters.count() == 0


async def test_the_deadline_of_who_asks_is_in_force_in_the_handler(app: App) -> None:
    prices, left = app.queue("prices", Ask), list[float | None]()

    @prices.handler()
    async def quote(ask: Ask) -> Quote:
        left.append(remaining())
        return Quote(ask.sku)

    async with app.test() as t:
        await prices.request(Ask("lamp"), result=Quote, timeout=30)
        with deadline(10, clock=t.clock):
            await prices.request(Ask("lamp"), result=Quote, timeout=30)
    assert left == [pytest.approx(30, abs=0.01), pytest.approx(10, abs=0.01)]


async def test_after_the_deadline_nothing_is_sent(app: App) -> None:
    prices = app.queue("prices", Ask)
    async with app.test() as t:
        with deadline(5, clock=t.clock):
            await t.advance(6)
            with pytest.raises(DeadlinePassedError, match="not sent"):
                await prices.request(Ask("lamp"), result=Quote)
        await t.settle()
        assert t.sent(prices) == []


@pytest.mark.parametrize("timeout", [0, -1, "2"])
async def test_a_timeout_that_is_none_is_refused(app: App, timeout: Any) -> None:
    prices = app.queue("prices", Ask)
    async with app.test():
        with pytest.raises(ConfigError, match="timeout="):
            await prices.request(Ask("lamp"), result=Quote, timeout=timeout)


# --- who waits -----------------------------------------------------------------------------------


async def test_who_is_cancelled_is_forgotten_and_a_late_answer_dropped(app: App) -> None:
    prices, go = app.queue("prices", Ask), asyncio.Event()

    @prices.handler()
    async def quote(ask: Ask) -> Quote:
        await go.wait()
        return Quote(ask.sku)

    async with app.test() as t:
        asking = asyncio.create_task(prices.request(Ask("lamp"), result=Quote, timeout=30))
        await t.settle()
        asking.cancel()
        await t.settle()
        mine = t.host.kept(Replies)
        assert mine.waiting == 0
        go.set()
        await t.settle()
        stats = await t.host.queue.stats(mine.address, mine.address)
        assert (stats.ready, stats.leased) == (0, 0)
        assert await prices.request(Ask("lamp"), result=Quote) == Quote("lamp")


async def test_no_more_may_wait_than_are_allowed(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replies, "MOST", 2)
    prices = app.queue("prices", Ask)
    async with app.test() as t:
        asking = [
            asyncio.create_task(prices.request(Ask("lamp"), result=Quote, timeout=9))
            for _ in range(2)
        ]
        await t.settle()
        with pytest.raises(FullError, match="wait for their answers"):
            await prices.request(Ask("lamp"), result=Quote)
        await t.advance(10)
        assert all(isinstance(task.exception(), TimedOutError) for task in asking)
        assert len(t.sent(prices)) == 2


async def test_a_queue_that_is_full_takes_no_request(app: App) -> None:
    prices = app.queue("prices", Ask, max_length=1)
    async with app.test():
        await prices.send(Ask("lamp"))
        with pytest.raises(FullError, match="max_length"):
            await prices.request(Ask("lamp"), result=Quote)


async def test_a_handler_may_ask_others_while_its_transaction_is_open(app: App) -> None:
    prices, orders = app.queue("prices", Ask), app.queue("orders", Ask)
    sent, told = list[int](), app.queue("told", Quote)

    @prices.handler()
    async def quote(ask: Ask) -> Quote:
        return Quote(ask.sku, 9)

    @orders.handler()
    async def accept(ask: Ask) -> None:
        await told.send(Quote("first"))
        answer = await prices.request(ask, result=Quote)
        sent.append(answer.cents)

    async with app.test() as t:
        await orders.send(Ask("lamp"))
        await t.settle()
        assert sent == [9]
        assert t.sent(told) == [Quote("first")]
        async with app.transaction():
            assert (await prices.request(Ask("x"), result=Quote)).cents == 9


async def test_whoever_waits_when_the_app_is_closed_is_told(app: App) -> None:
    prices = app.queue("prices", Ask)
    app.configure(engine="memory://")
    async with app:
        asking = asyncio.create_task(prices.request(Ask("lamp"), result=Quote, timeout=60))
        mine = app.declarations.host.kept(Replies)
        async with asyncio.timeout(10):
            while not mine.waiting:
                await asyncio.sleep(0)  # noqa: TID251 - a turn of the loop, no wait
    with pytest.raises(TimedOutError, match="closed"):
        await asking


async def test_an_app_that_is_opened_again_may_ask_again(app: App) -> None:
    asked, prices = list[str](), app.queue("prices", Ask)

    @prices.handler()
    async def quote(ask: Ask) -> Quote:
        asked.append(ask.sku)
        return Quote(ask.sku)

    for _ in range(2):
        async with app.test():
            await prices.request(Ask("lamp"), result=Quote)
    assert asked == ["lamp", "lamp"]


async def test_the_reply_queue_is_gone_when_the_app_is_closed(app: App, tmp_path: Path) -> None:
    prices = app.queue("prices", Ask)

    @prices.handler()
    async def quote(ask: Ask) -> Quote:
        return Quote(ask.sku)

    url = f"sqlite:///{tmp_path}/shop.db"
    async with app.test(engine=url) as t:
        await prices.request(Ask("lamp"), result=Quote)
        assert "isthmus.replies." in str(await t.host.queue.subscriptions())
    async with app.test(engine=url) as t:
        assert "isthmus.replies." not in str(await t.host.queue.subscriptions())


async def test_the_reply_queue_of_a_process_that_died_is_swept(app: App) -> None:
    async with app.test() as t:
        dead = Replies(t.host)
        await Ephemeral(t.host).register(dead.address, dead.address, ttl=60)
        await t.host.queue.declare(dead.address, dead.address)
        await t.advance(120)
        assert dead.address not in str(await t.host.queue.subscriptions())


async def test_a_reply_queue_that_is_used_is_not_swept(app: App) -> None:
    prices = app.queue("prices", Ask)

    @prices.handler()
    async def quote(ask: Ask) -> Quote:
        return Quote(ask.sku)

    async with app.test() as t:
        await prices.request(Ask("lamp"), result=Quote)
        await t.advance(600)
        assert await prices.request(Ask("lamp"), result=Quote) == Quote("lamp")


# --- what is declared ----------------------------------------------------------------------------


def test_the_model_says_what_is_answered(app: App) -> None:
    prices, notes = app.queue("prices", Ask), app.queue("notes", Ask)

    @prices.handler()
    async def quote(ask: Ask) -> Quote:
        raise AssertionError

    @notes.handler()
    async def note(ask: Ask) -> None:
        raise AssertionError

    first, second = app.describe().of(DeclaredHandler)
    assert first.reply is not None
    assert (first.reply.type, second.reply) == (Quote, None)


# --- for real ------------------------------------------------------------------------------------


@asynccontextmanager
async def running(app: App) -> AsyncGenerator[Host]:
    run = asyncio.create_task(app.run())
    async with asyncio.timeout(30):
        while app._runtime is None:
            await asyncio.sleep(0)  # noqa: TID251 - a turn of the loop, no wait
        await app._runtime.ready.wait()
        yield app.declarations.host
        await app.drain()
        await run


async def test_where_rows_and_messages_lie_apart_answers_go_through_the_outbox(
    tmp_path: Path,
) -> None:
    app = App("shop", engine="memory://", store=f"sqlite:///{tmp_path}/store.db")
    prices = app.queue("prices", Ask)

    @prices.handler(retry=Retry(1))
    async def quote(ask: Ask, tx: Transaction) -> Quote:
        if ask.sku == "none":
            raise SoldOut("lamp")
        if ask.sku == "bad":
            raise ValueError("no")
        return Quote(ask.sku)

    async with running(app):
        assert await prices.request(Ask("lamp"), result=Quote, timeout=20) == Quote("lamp")
        assert await prices.request(Ask("x"), result=Quote, timeout=20, id="1") == Quote("x")
        assert await prices.request(Ask("x"), result=Quote, timeout=20, id="1") == Quote("x")
        with pytest.raises(SoldOut):
            await prices.request(Ask("none"), result=Quote, timeout=20)
        with pytest.raises(RemoteError):
            await prices.request(Ask("bad"), result=Quote, timeout=20)


SERVICE = """
import msgspec
from isthmus import App, Transaction

class Ask(msgspec.Struct):
    sku: str

class Quote(msgspec.Struct):
    sku: str
    cents: int = 1

app = App("prices", engine={engine!r})
app.database(shared=True, tables={{"asked": "prices"}})
prices = app.queue("prices", Ask)

@prices.handler()
async def quote(ask: Ask, tx: Transaction) -> Quote:
    await tx.execute("create table if not exists asked (sku)")
    await tx.execute("insert into asked values (:sku)", sku=ask.sku)
    return Quote(ask.sku, 700)
"""


async def test_another_process_answers(tmp_path: Path) -> None:
    engine = f"sqlite:///{tmp_path}/shop.db"
    (tmp_path / "service.py").write_text(SERVICE.format(engine=engine))
    app = App("shop", engine=engine)
    app.database(shared=True, tables={"asked": "prices"})
    prices = app.queue("prices", Ask)
    argv = [sys.executable, "-m", "isthmus", "run", "service:app"]
    async with app:
        service = subprocess.Popen(argv, cwd=tmp_path, stderr=subprocess.DEVNULL)
        try:
            found = await prices.request(Ask("lamp"), result=Quote, timeout=40)
            many = await asyncio.gather(
                *(prices.request(Ask(str(n)), result=Quote, timeout=40) for n in range(50))
            )
            async with app.transaction() as tx:
                rows = await tx.fetch("select count(*) as n from asked")
        finally:
            service.terminate()
            service.wait(20)
    assert found == Quote("lamp", 700)
    assert [each.sku for each in many] == [str(n) for n in range(50)]
    assert rows[0].n == 51
