"""What holds for `def` handlers, which run in threads."""

import asyncio
import threading
from contextvars import ContextVar
from pathlib import Path

import msgspec
import pytest

from isthmus import App, ConfigError, Retry, SyncTransaction, TimedOutError, wait
from isthmus.contracts import Put, StoreEngine
from isthmus.handling.host import Host
from isthmus.handling.threads import Threads
from isthmus.handling.unit import current, transaction

tenant: ContextVar[str] = ContextVar("tenant")


class Order(msgspec.Struct):
    id: str


async def put(store: StoreEngine, key: str) -> str:
    unit = current.get()
    await store.put("seen", [Put(key, b"")], tx=unit and unit.begin())
    return key


async def nothing() -> None: ...


async def test_a_function_runs_beside_the_loop_with_the_callers_context() -> None:
    tenant.set("acme")
    loop = threading.get_ident()
    assert await Threads().run(lambda: (tenant.get(), threading.get_ident() != loop)) == (
        "acme",
        True,
    )


async def test_what_a_function_raises_comes_through() -> None:
    def fail(error: type[BaseException]) -> None:
        raise error("told")

    with pytest.raises(ValueError, match="told"):
        await Threads().run(fail, ValueError)
    with pytest.raises(RuntimeError, match="raised StopIteration"):
        await Threads().run(fail, StopIteration)


async def test_no_more_run_at_once_than_the_limit() -> None:
    threads, gate = Threads(limit=2), threading.Event()
    begun: asyncio.Queue[int] = asyncio.Queue()
    loop = asyncio.get_running_loop()

    def work() -> None:
        loop.call_soon_threadsafe(begun.put_nowait, threading.get_ident())
        gate.wait(10)

    calls = [asyncio.create_task(threads.run(work)) for _ in range(6)]
    first = {await begun.get(), await begun.get()}
    assert begun.empty()
    gate.set()
    await asyncio.gather(*calls)
    assert {begun.get_nowait() for _ in range(4)} <= first


async def test_a_thread_that_hangs_takes_no_place() -> None:
    threads, gate, begun = Threads(limit=1), threading.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def hang() -> None:
        loop.call_soon_threadsafe(begun.set)
        gate.wait(10)

    hanging = asyncio.create_task(threads.run(hang))
    await begun.wait()
    hanging.cancel()
    with pytest.raises(asyncio.CancelledError):
        await hanging
    assert await threads.run(lambda: "free") == "free"
    gate.set()


async def test_what_was_cancelled_before_it_began_never_runs() -> None:
    threads, gate, ran = Threads(limit=1), threading.Event(), list[str]()
    first = asyncio.create_task(threads.run(gate.wait, 10))
    second = asyncio.create_task(threads.run(ran.append, "second"))
    await asyncio.wait([second], timeout=0)
    second.cancel()
    await asyncio.wait([second])
    gate.set()
    await first
    await threads.run(ran.append, "third")
    assert ran == ["third"]


async def test_wait_runs_on_the_loop_within_the_unit_of_work(memory: Host) -> None:
    def work() -> str:
        return wait(put(memory.store, "a"))

    async with transaction(memory.store):
        assert await memory.threads.run(work) == "a"
        assert not await memory.store.get("seen", ["a"])
    assert await memory.store.get("seen", ["a"])


async def test_what_an_awaited_call_raises_comes_through() -> None:
    async def fail() -> None:
        raise ValueError("told")

    with pytest.raises(ValueError, match="told"):
        await Threads().run(lambda: wait(fail()))


async def test_wait_takes_any_awaitable() -> None:
    future: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    future.set_result("done")
    assert await Threads().run(lambda: wait(future)) == "done"


async def test_wait_on_the_loops_own_thread_is_refused() -> None:
    with pytest.raises(ConfigError, match="use `await`"):
        wait(nothing())


def test_wait_without_a_loop_is_refused() -> None:
    with pytest.raises(ConfigError, match="no loop here"):
        wait(nothing())


async def test_a_cancelled_call_can_wait_for_nothing_more(memory: Host) -> None:
    begun, cancelled = asyncio.Event(), threading.Event()
    ended: asyncio.Future[BaseException] = asyncio.get_running_loop().create_future()
    loop = asyncio.get_running_loop()

    def work() -> None:
        loop.call_soon_threadsafe(begun.set)
        cancelled.wait(10)
        try:
            wait(put(memory.store, "late"))
        except TimedOutError as error:
            loop.call_soon_threadsafe(ended.set_result, error)

    call = asyncio.create_task(memory.threads.run(work))
    await begun.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    cancelled.set()
    assert "transaction is over" in str(await ended)
    assert not await memory.store.get("seen", ["late"])


async def test_cancelling_a_call_ends_what_it_waits_for() -> None:
    waiting = asyncio.Event()
    ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    loop = asyncio.get_running_loop()

    async def for_ever() -> None:
        waiting.set()
        await asyncio.Event().wait()

    def work() -> None:
        try:
            wait(for_ever())
        except TimedOutError as error:
            loop.call_soon_threadsafe(ended.set_result, str(error))

    call = asyncio.create_task(Threads().run(work))
    await waiting.wait()
    call.cancel()
    assert "transaction is over" in await ended


async def test_a_def_handler_that_took_too_long_cannot_commit() -> None:
    app, go_on, loop = App("shop"), threading.Event(), asyncio.get_running_loop()
    orders, accepted = app.queue("orders", Order), app.queue("accepted", Order)
    begun: asyncio.Queue[int] = asyncio.Queue()
    ended: asyncio.Queue[str] = asyncio.Queue()

    @orders.handler(timeout=5, retry=Retry(1))
    def accept(order: Order) -> None:
        wait(accepted.send(Order("early")))
        loop.call_soon_threadsafe(begun.put_nowait, 1)
        go_on.wait(10)
        try:
            wait(accepted.send(Order("late")))
        except TimedOutError as error:
            loop.call_soon_threadsafe(ended.put_nowait, str(error))

    async with app.test() as t:
        await orders.send(Order("a"))
        await begun.get()
        await t.advance(10)
        (letter,) = await orders.dead_letters.list()
        assert "did not return in 5 s" in letter.failures[0].error
        go_on.set()
        assert "transaction is over" in await ended.get()
        await t.settle()
        assert t.sent(accepted) == []


async def test_a_def_handler_writes_rows_and_sends_in_one_transaction(tmp_path: Path) -> None:
    app = App("shop", engine=f"sqlite:///{tmp_path}/shop.db")
    orders, accepted = app.queue("orders", Order), app.queue("accepted", Order)
    (tmp_path / "1.sql").write_text("create table accepted (id text primary key)")
    app.migrations(tmp_path)
    done = asyncio.Event()
    rows: list[object] = []

    @orders.handler()
    def accept(order: Order, tx: SyncTransaction) -> None:
        assert tx.execute_many("insert into accepted values (:id)", [{"id": order.id}]) == 1
        assert tx.execute("update accepted set id = id") == 1
        rows.extend(tuple(row) for row in tx.fetch("select id from accepted"))
        wait(accepted.send(order))

    @accepted.handler()
    async def finish(order: Order) -> None:
        done.set()

    async with app:
        await orders.send(Order("a"))
    running = asyncio.create_task(app.run())
    await done.wait()
    await app.drain()
    await running
    assert rows[0] == ("a",)
