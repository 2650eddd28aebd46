"""Sagas in real processes of an App: two databases, joined transactions, draining, signals."""

import asyncio
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from tests.stores import Stores

from isthmus import App, ConfigError, Module, SchemaError, TimedOutError, Transaction
from isthmus.handling.running.controls import pause, resume
from isthmus.sagas import Compensate, Saga, SagaStuckError
from isthmus.sagas.declared import DeclaredSaga
from isthmus.sagas.facts import (
    SagaCompensating,
    SagaEnded,
    SagaResumed,
    SagaStarted,
    SagaStuck,
    StepDone,
    StepUndone,
)
from isthmus.settings import Settings
from isthmus.signals import Signal

pytestmark = pytest.mark.timeout(60)


async def test_a_saga_lies_in_the_store_if_messages_lie_elsewhere(sql_stores: Stores) -> None:
    engine, store = sql_stores("engine"), sql_stores("store")
    app = App("shop", engine=engine, store=store, settings=Settings(port=0))
    mails, sent = app.queue("mails", str), asyncio.Queue[str]()

    @mails.handler()
    async def mail(text: str) -> None:
        sent.put_nowait(text)

    async def tell(text: str) -> None:
        await mails.send(text)

    @app.saga("fulfil")
    async def fulfil(saga: Saga, text: str) -> str:
        await saga.step(tell, text)
        return text

    async with app:
        handle = await fulfil.start("hello", id="1")
    running = asyncio.create_task(app.run())
    assert await sent.get() == "hello"
    handle = fulfil.handle("1")
    assert await handle.result(timeout=20) == "hello"
    await app.drain()
    await running


async def test_a_saga_starts_with_a_transaction_of_the_users_own(tmp_path: Path) -> None:
    app = App("shop", engine=f"sqlite:///{tmp_path}/shop.db")

    @app.saga("fulfil")
    async def fulfil(saga: Saga) -> None: ...

    async with app:
        connection = sqlite3.connect(tmp_path / "shop.db")
        async with app.join(connection):
            handle = await fulfil.start(id="1")
            await fulfil.start(id="1")
        connection.rollback()
        async with app.join(connection):
            await fulfil.start(id="2")
        connection.commit()
        connection.close()
        assert (await fulfil.handle("2").status()).status == "running"
        with pytest.raises(Exception, match="never started"):
            await handle.status()


async def test_a_process_that_drains_begins_no_further_step(sql_engine: str) -> None:
    app = App("shop", engine=sql_engine, settings=Settings(port=0))
    done, begun, go = list[int](), asyncio.Event(), asyncio.Event()

    async def do(number: int) -> None:
        begun.set()
        await go.wait()
        done.append(number)

    @app.saga("fulfil")
    async def fulfil(saga: Saga) -> str:
        for number in range(3):
            await saga.step(do, number)
        return "all"

    async with app:
        await fulfil.start(id="1")
    running = asyncio.create_task(app.run())
    await begun.wait()
    await app.drain()
    worker: Any = app.declarations.workers[0]
    while not worker.in_hand[0][2]:
        await asyncio.get_running_loop().run_in_executor(None, int)
    go.set()
    await running
    assert done == [0]
    ended = asyncio.Event()
    app.signals.listen(SagaEnded, lambda _: ended.set())
    running = asyncio.create_task(app.run())
    await ended.wait()
    assert await fulfil.handle("1").result(timeout=20) == "all"
    assert done == [0, 1, 2]
    await app.drain()
    await running


async def test_what_happens_to_a_saga_is_told(engine: str) -> None:
    app, told, broken = App("shop"), list[Signal](), [True]
    kinds = (
        SagaStarted, StepDone, SagaCompensating, StepUndone, SagaStuck, SagaResumed, SagaEnded,
    )  # fmt: skip
    for kind in kinds:
        app.signals.listen(kind, told.append)

    async def do() -> None: ...

    async def undo() -> None: ...

    @app.saga("fulfil")
    async def fulfil(saga: Saga) -> None:
        await saga.step(do, undo=undo)
        if broken[0]:
            raise KeyError("x")
        raise Compensate("no")

    async with app.test(engine=engine) as t:
        handle = await fulfil.start(id="1")
        await t.settle()
        broken[0] = False
        await handle.resume()
        await t.settle()
    names = [type(each).__name__ for each in told]
    assert names == [
        "SagaStarted",
        "StepDone",
        "SagaStuck",
        "SagaResumed",
        "SagaCompensating",
        "StepUndone",
        "SagaEnded",
    ]


async def test_a_value_that_is_too_large_is_refused_and_not_tried_for_ever(engine: str) -> None:
    app = App("shop")

    async def huge() -> str:
        return "x" * (1 << 20)

    @app.saga("fulfil")
    async def fulfil(saga: Saga, text: str) -> None:
        await saga.step(huge)

    async with app.test(engine=engine) as t:
        with pytest.raises(SchemaError, match="has 1048578 bytes, at most 1048576"):
            await fulfil.start("x" * (1 << 20), id="0")
        handle = await fulfil.start("", id="1")
        await t.settle()
        with pytest.raises(SagaStuckError, match="give a reference to it"):
            await handle.result()


async def test_a_long_history_goes_on_in_further_entries(engine: str) -> None:
    app = App("shop")

    async def page(number: int) -> str:
        return str(number) * 2000

    @app.saga("fulfil")
    async def fulfil(saga: Saga) -> int:
        return sum([len(await saga.step(page, number)) for number in range(40)])

    async with app.test(engine=engine) as t:
        handle = await fulfil.start(id="1")
        await t.settle()
        assert await handle.result() == 10 * 2000 + 30 * 4000
        assert len(await t.host.store.scan("isthmus.sagas.history")) > 2
        assert len(await handle.history()) == 42


async def test_one_that_has_ended_is_forgotten_when_its_retention_is_over(engine: str) -> None:
    app, runs = App("shop"), list[int]()

    async def do() -> None:
        runs.append(1)

    @app.saga("fulfil", retention=20)
    async def fulfil(saga: Saga) -> None:
        await saga.step(do)

    async with app.test(engine=engine) as t:
        await fulfil.start(id="1")
        await t.advance(21)
        assert await t.host.store.scan("isthmus.sagas") == []
        await fulfil.start(id="1")
        await t.settle()
        assert runs == [1, 1]


async def test_two_apps_of_one_database_take_their_own_sagas_only(stores: Stores) -> None:
    one, two, engine = App("one"), App("two"), stores("both")
    for each in (one, two):
        each.database(shared=True)

    @one.saga("fulfil")
    async def fulfil(saga: Saga) -> str:
        return "one"

    @two.saga("other")
    async def other(saga: Saga) -> str:
        return "two"

    async with (
        one.test(engine=engine) as t,
        two.test(engine=engine),
    ):
        handle = await fulfil.start(id="1")
        await t.settle()
        assert await handle.result() == "one"


async def test_before_the_app_is_open_nothing_starts() -> None:
    app = App("shop")

    @app.saga("fulfil")
    async def fulfil(saga: Saga) -> None: ...

    with pytest.raises(ConfigError, match="is not open"):
        await fulfil.start(id="1")


async def test_the_trace_goes_on_in_what_a_saga_sends(engine: str) -> None:
    app = App("shop")
    orders, mails = app.queue("orders", str), app.queue("mails", str)

    @app.saga("tell")
    async def tell(saga: Saga, text: str) -> None:
        await saga.step(mails.send, text)

    @app.saga("fulfil")
    async def fulfil(saga: Saga, text: str) -> None:
        await saga.sleep(1)
        await saga.step(mails.send, text)
        await saga.run(tell, text)

    @orders.handler()
    async def accept(text: str) -> None:
        await fulfil.start(text, id=text)

    trace = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
    async with app.test(engine=engine) as t:
        order = await orders.send("a", headers=trace)
        await t.advance(5)
        told = {**trace, "correlationid": order, "causationid": order}
        assert [dict(each.headers) for each in t.messages(mails)] == [told, told]


async def test_what_a_saga_sends_that_nothing_led_to_belongs_to_the_saga(engine: str) -> None:
    app = App("shop")
    mails = app.queue("mails", str)

    @app.saga("tell")
    async def tell(saga: Saga) -> None:
        await saga.step(mails.send, "a")

    async with app.test(engine=engine) as t:
        await tell.start(id="A-1")
        await t.settle()
        assert [each.correlation_id for each in t.messages(mails)] == ["tell/A-1"]


async def test_a_child_has_to_be_declared_in_the_app(engine: str) -> None:
    app, other = App("shop"), App("other")

    @other.saga("elsewhere")
    async def elsewhere(saga: Saga) -> None: ...

    @app.saga("fulfil")
    async def fulfil(saga: Saga) -> None:
        await saga.run(elsewhere, None)

    async with app.test(engine=engine) as t:
        handle = await fulfil.start(id="1")
        await t.settle()
        with pytest.raises(SagaStuckError, match="not declared in this App"):
            await handle.result()
        assert [each.id for each in await app.sagas.list(status="stuck")] == ["1"]


async def test_sagas_are_searched_by_what_they_are_called_and_stuck_at(engine: str) -> None:
    app = App("shop")

    @app.saga("fulfil")
    async def fulfil(saga: Saga, fault: str) -> None:
        raise ValueError(fault)

    async with app.test(engine=engine) as t:
        for number in range(30):
            fault = "the bank is shut" if number % 3 == 0 else "no stock"
            await fulfil.start(fault, id=f"A-{number:02}")
        await t.settle()

        async def ids(search: str, limit: int) -> list[str]:
            found = await app.sagas.list(status="stuck", search=search, limit=limit)
            return [each.id for each in found]

        assert await ids("BANK", 3) == ["A-00", "A-03", "A-06"]
        assert len(await ids("bank", 100)) == 10
        assert await ids("fulfil/a-17", 100) == ["A-17"]
        assert await ids("elsewhere", 100) == []


async def test_a_saga_that_is_paused_goes_on_when_it_is_resumed(engine: str) -> None:
    app = App("shop")

    @app.saga("fulfil")
    async def fulfil(saga: Saga) -> str:
        return "done"

    async with app.test(engine=engine) as t:
        await pause(t.host.store, "fulfil")
        await t.settle()
        handle = await fulfil.start(id="1")
        await t.settle()
        assert (await handle.status()).status == "running"
        await resume(t.host.store, "fulfil")
        await t.settle()
        assert await handle.result() == "done"


@pytest.mark.parametrize(("deaths", "status"), [(3, "completed"), (8, "stuck")])
async def test_one_that_its_processes_die_of_is_stuck_in_the_end(deaths: int, status: str) -> None:
    app = App("shop")

    @app.saga("fulfil")
    async def fulfil(saga: Saga) -> str:
        return "done"

    async with app.test() as t:
        await pause(t.host.store, "fulfil")
        await t.settle()
        handle = await fulfil.start(id="1")
        taker = await t.host.letters.receiver("isthmus.saga.fulfil", "run", limit=1, lease=1)
        for _ in range(deaths):
            assert len(await taker.receive(1, wait=0)) == 1
            await t.advance(2)
        await resume(t.host.store, "fulfil")
        await t.settle()
        assert (await handle.status()).status == status
        if status == "stuck":
            assert (await handle.status()).reason == "crashing"
            await handle.resume()
            await t.settle()
            assert await handle.result() == "done"


async def test_a_saga_is_declared_by_a_module_and_run_by_the_app_that_includes_it() -> None:
    orders, app = Module("orders"), App("shop")

    @orders.saga("fulfil", version=2)
    async def fulfil(saga: Saga) -> str:
        return "done"

    app.include(orders)
    declared = app.describe().find(DeclaredSaga, "fulfil/2")
    assert (declared.saga, declared.version, declared.options.concurrency) == ("fulfil", 2, 64)
    async with app.test() as t:
        handle = await fulfil.start(id="1")
        await t.settle()
        assert await handle.result() == "done"


async def test_a_result_is_waited_for_no_longer_than_is_said(engine: str) -> None:
    app = App("shop")

    @app.saga("fulfil")
    async def fulfil(saga: Saga) -> None:
        await saga.sleep(3600)

    async with app.test(engine=engine) as t:
        handle = await fulfil.start(id="1")
        waiting = asyncio.create_task(handle.result(timeout=5))
        await t.advance(6)
        with pytest.raises(TimedOutError, match="had not ended after 5 s"):
            await waiting


async def test_steps_that_meet_a_conflict_are_done_again_and_count_once(sql_engine: str) -> None:
    app = App("shop")
    lock = "FOR UPDATE" if sql_engine.startswith("postgresql") else ""  # else it is READ COMMITTED

    async def prepare(tx: Transaction) -> None:
        await tx.execute("CREATE TABLE tally (n INTEGER)")
        await tx.execute("INSERT INTO tally VALUES (0)")

    async def count(tx: Transaction) -> int:
        (row,) = await tx.fetch(f"SELECT n FROM tally {lock}")
        await t.clock.sleep(0)
        await tx.execute("UPDATE tally SET n = :n", n=row.n + 1)
        return row.n

    @app.saga("prepare")
    async def preparing(saga: Saga) -> None:
        await saga.step(prepare)

    @app.saga("count")
    async def counting(saga: Saga) -> list[int]:
        alone = await saga.step(count)
        return [alone, *await saga.gather(saga.step(count), saga.step(count))]

    async with app.test(engine=sql_engine) as t:
        await (await preparing.start(id="1")).result()
        handles = [await counting.start(id=str(number)) for number in range(8)]
        await t.settle()
        seen = [n for handle in handles for n in await handle.result()]
        assert sorted(seen) == list(range(24))
