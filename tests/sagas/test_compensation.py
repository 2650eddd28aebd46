"""What was done, or may have been, is undone in reverse; and what cannot be is told to a person."""

from collections.abc import Callable
from typing import Any

import pytest

from isthmus import App, Policy, Retry, SyncTransaction, Transaction
from isthmus.handling.idempotency_key import IdempotencyKey
from isthmus.resilience import CircuitBreaker
from isthmus.resilience.errors import NotCalledError
from isthmus.sagas import (
    Compensate,
    Saga,
    SagaCompensatedError,
    SagaStuckError,
    StepFailedError,
    Unknown,
)
from isthmus.sagas.events import Begun


class Shop:
    """Writes down what is done and undone; `faults` are raised by the names of what is to fail."""

    def __init__(self) -> None:
        self.log = list[str]()
        self.faults: dict[str, list[Exception]] = {}

    def does(self, name: str) -> Callable[..., Any]:
        async def action(order: str) -> str:
            self.log.append(name)
            self._fail(name)
            return f"{name}d-{order}"

        action.__name__ = action.__qualname__ = name
        return action

    def undoes(self, name: str) -> Callable[..., Any]:
        async def undo(done: str | Unknown, key: IdempotencyKey) -> None:
            self.log.append(f"un{name} {done if isinstance(done, str) else done.key}")
            self._fail(f"un{name}")
            assert key.endswith("/undo")

        return undo

    def _fail(self, name: str) -> None:
        if self.faults.get(name):
            raise self.faults[name].pop(0)


@pytest.fixture
def shop() -> Shop:
    return Shop()


def declare(app: App, shop: Shop, **options: Any) -> Any:
    chosen: Any = {"retry": Retry(2, delay=1, jitter="none"), **options}

    @app.saga("fulfil", **chosen)
    async def fulfil(saga: Saga, order: str) -> str:
        await saga.step(shop.does("reserve"), order, undo=shop.undoes("reserve"))
        await saga.step(shop.does("charge"), order, undo=shop.undoes("charge"))
        await saga.step(shop.does("note"), order)
        await saga.step(shop.does("ship"), order, undo=shop.undoes("ship"))
        return "done"

    return fulfil


async def test_compensations_run_in_reverse_order(engine: str, shop: Shop) -> None:
    app = App("shop")
    fulfil = declare(app, shop)
    shop.faults["ship"] = [Compensate("no carrier")]
    async with app.test(engine=engine) as t:
        handle = await fulfil.start("1", id="1")
        await t.settle()
        with pytest.raises(SagaCompensatedError, match="no carrier"):
            await handle.result()
        done = ["reserve", "charge", "note", "ship"]
        assert shop.log == [*done, "uncharge charged-1", "unreserve reserved-1"]
        assert (await handle.status()).status == "compensated"


async def test_a_step_that_may_have_happened_is_undone_by_its_key(engine: str, shop: Shop) -> None:
    app = App("shop")
    fulfil = declare(app, shop)
    shop.faults["charge"] = [ConnectionResetError(), ConnectionResetError()]
    async with app.test(engine=engine) as t:
        handle = await fulfil.start("1", id="1")
        await t.advance(10)
        with pytest.raises(SagaCompensatedError, match="'charge' failed: ConnectionResetError"):
            await handle.result()
        undone = ["uncharge fulfil/1/2", "unreserve reserved-1"]
        assert shop.log == ["reserve", "charge", "charge", *undone]


@pytest.mark.parametrize(
    "fault", [ConnectionRefusedError(), NotCalledError("no"), Compensate("no")], ids=repr
)
async def test_a_step_that_never_ran_or_was_refused_is_not_undone(
    engine: str, shop: Shop, fault: Exception
) -> None:
    app = App("shop")
    fulfil = declare(app, shop, timeout=30)
    shop.faults["charge"] = [fault] * 100
    async with app.test(engine=engine) as t:
        handle = await fulfil.start("1", id="1")
        await t.advance(60)
        assert (await handle.status()).status == "compensated"
        if not isinstance(fault, NotCalledError):
            assert "uncharge fulfil/1/2" not in shop.log
        assert shop.log[-1] == "unreserve reserved-1"


async def test_an_open_circuit_burns_no_attempts(engine: str) -> None:
    app, calls = App("shop"), list[str]()
    guard = Policy(CircuitBreaker(consecutive=1, open_for=5), name="pay")

    async def charge(order: str) -> str:
        calls.append(order)
        if len(calls) == 1:
            raise ConnectionResetError
        return "paid"

    @app.saga("fulfil", retry=Retry(2, delay=0.5, jitter="none"))
    async def fulfil(saga: Saga, order: str) -> str:
        return await saga.step(charge, order, policy=guard)

    async with app.test(engine=engine) as t:
        handle = await fulfil.start("1", id="1")
        await t.advance(3)
        assert calls == ["1"]
        guard_state = next(each for each in guard.strategies if isinstance(each, CircuitBreaker))
        guard_state.reset()
        await t.advance(60)
        assert await handle.result() == "paid"


async def test_a_failed_step_may_be_caught_and_the_saga_goes_on(engine: str, shop: Shop) -> None:
    app = App("shop")
    shop.faults["charge"] = [ValueError("no")]

    @app.saga("fulfil", retry=Retry(1))
    async def fulfil(saga: Saga, order: str) -> str:
        await saga.step(shop.does("reserve"), order, undo=shop.undoes("reserve"))
        try:
            await saga.step(shop.does("charge"), order, undo=shop.undoes("charge"))
        except StepFailedError:
            return await saga.step(shop.does("invoice"), order)
        return ""

    async with app.test(engine=engine) as t:
        handle = await fulfil.start("1", id="1")
        await t.settle()
        assert await handle.result() == "invoiced-1"
        assert shop.log == ["reserve", "charge", "invoice"]


async def test_an_undo_is_tried_again_and_the_saga_is_stuck_when_its_retries_are_spent(
    engine: str, shop: Shop
) -> None:
    app = App("shop")
    fulfil = declare(app, shop, undo_retry=Retry(3, delay=10, factor=1, jitter="none"))
    shop.faults["ship"] = [Compensate("no carrier")]
    shop.faults["uncharge"] = [ValueError("bank is shut")] * 4
    async with app.test(engine=engine) as t:
        handle = await fulfil.start("1", id="1")
        await t.settle()
        assert shop.log.count("uncharge charged-1") == 1
        assert (await handle.status()).status == "compensating"
        await t.advance(60)
        assert shop.log.count("uncharge charged-1") == 3
        status = await handle.status()
        assert (status.status, status.reason) == ("stuck", "compensation")
        assert "bank is shut" in status.error
        with pytest.raises(SagaStuckError, match="bank is shut"):
            await handle.result()
        assert "unreserve reserved-1" not in shop.log
        await handle.resume()
        await t.advance(60)
        with pytest.raises(SagaCompensatedError, match="no carrier"):
            await handle.result()
        assert shop.log[-2:] == ["uncharge charged-1", "unreserve reserved-1"]


async def test_a_saga_that_is_cancelled_compensates(engine: str, shop: Shop) -> None:
    app = App("shop")
    fulfil = declare(app, shop, retry=Retry(9, delay=60, jitter="none"))
    shop.faults["ship"] = [ConnectionResetError()] * 9
    async with app.test(engine=engine) as t:
        handle = await fulfil.start("1", id="1")
        await t.settle()
        await handle.cancel("customer left")
        await t.settle()
        with pytest.raises(SagaCompensatedError, match="customer left"):
            await handle.result()
        undone = ["unship fulfil/1/4", "uncharge charged-1", "unreserve reserved-1"]
        assert shop.log[-3:] == undone
        await handle.cancel("again")
        await t.advance(70)
        assert shop.log[-3:] == undone


async def test_a_completed_saga_can_be_taken_back(engine: str, shop: Shop) -> None:
    app = App("shop")
    fulfil = declare(app, shop)
    async with app.test(engine=engine) as t:
        handle = await fulfil.start("1", id="1")
        await t.settle()
        assert await handle.result() == "done"
        await handle.cancel()
        await t.settle()
        assert await handle.result() == "done"
        await handle.compensate("returned")
        await t.settle()
        with pytest.raises(SagaCompensatedError, match="returned"):
            await handle.result()
        assert shop.log[4:] == ["unship shipd-1", "uncharge charged-1", "unreserve reserved-1"]


async def test_a_saga_that_takes_longer_than_its_timeout_compensates(
    engine: str, shop: Shop
) -> None:
    app = App("shop")
    fulfil = declare(app, shop, timeout=60, retry=Retry(1000, delay=20, cap=20, jitter="none"))
    shop.faults["ship"] = [ConnectionResetError()] * 1000
    async with app.test(engine=engine) as t:
        handle = await fulfil.start("1", id="1")
        await t.advance(59)
        assert (await handle.status()).status == "running"
        await t.advance(2)
        with pytest.raises(SagaCompensatedError, match="longer than its timeout"):
            await handle.result()


async def test_a_timeout_does_not_touch_a_saga_that_has_ended(engine: str, shop: Shop) -> None:
    app = App("shop")
    fulfil = declare(app, shop, timeout=60)
    async with app.test(engine=engine) as t:
        handle = await fulfil.start("1", id="1")
        await t.settle()
        stats = await t.host.letters.stats("isthmus.saga-timers.fulfil", "timers")
        assert (stats.ready, stats.delayed) == (0, 0)
        await t.advance(70)
        assert await handle.result() == "done"


async def test_an_attempt_that_takes_longer_than_its_timeout_is_cut(engine: str) -> None:
    app, begun = App("shop"), list[str]()

    @app.saga("fulfil", retry=Retry(2, delay=1))
    async def fulfil(saga: Saga) -> str:
        try:
            return await saga.step(hang, timeout=20)
        except StepFailedError as error:
            return error.reason

    async with app.test(engine=engine) as t:

        async def hang() -> str:
            begun.append("hang")
            await t.clock.sleep(1e9)
            return "never"

        handle = await fulfil.start(id="1")
        await t.advance(19)
        assert len(begun) == 1
        await t.advance(100)
        assert "did not return in 20 s" in await handle.result()
        assert len(begun) == 2


async def test_what_a_failed_or_cut_local_step_wrote_is_gone(sql_engine: str) -> None:
    app = App("shop")

    @app.saga("fulfil", retry=Retry(1))
    async def fulfil(saga: Saga) -> None:
        await saga.step(prepare)
        await saga.step(write, undo=unwrite)

    async def prepare(tx: Transaction) -> None:
        await tx.execute("CREATE TABLE written (id TEXT)")

    async def write(tx: Transaction) -> None:
        await tx.execute("INSERT INTO written VALUES ('a')")
        raise ValueError("no")

    async def unwrite(tx: Transaction) -> None:
        await tx.execute("INSERT INTO written VALUES ('undone')")

    async with app.test(engine=sql_engine) as t:
        handle = await fulfil.start(id="1")
        await t.settle()
        assert (await handle.status()).status == "compensated"
        async with app.transaction() as tx:
            assert list(await tx.fetch("SELECT id FROM written")) == []


async def test_the_undo_of_a_local_step_commits_with_its_record(sql_engine: str) -> None:
    app = App("shop")

    @app.saga("fulfil", retry=Retry(1))
    async def fulfil(saga: Saga) -> None:
        await saga.step(prepare)
        await saga.step(write, "a", undo=unwrite)
        raise Compensate("no")

    async def prepare(tx: Transaction) -> None:
        await tx.execute("CREATE TABLE written (id TEXT)")

    async def write(name: str, tx: Transaction) -> str:
        await tx.execute("INSERT INTO written VALUES (:name)", name=name)
        return name

    def unwrite(name: str, tx: SyncTransaction) -> None:
        tx.execute("DELETE FROM written WHERE id = :name", name=name)

    async with app.test(engine=sql_engine) as t:
        handle = await fulfil.start(id="1")
        await t.settle()
        assert (await handle.status()).status == "compensated"
        async with app.transaction() as tx:
            assert list(await tx.fetch("SELECT id FROM written")) == []
        begun = [each for each in await handle.history() if isinstance(each, Begun)]
        assert begun == []
