"""A saga does its steps once in effect, in their order, and tells what came of it."""

import re
from pathlib import Path
from typing import Annotated

import msgspec
import pytest

from isthmus import App, ConfigError, Depends, NotFoundError, Retry, SchemaError, Transaction
from isthmus.handling.idempotency_key import IdempotencyKey
from isthmus.sagas import Compensate, Saga, SagaOptions, SagaStuckError, StepFailedError
from isthmus.sagas.events import Done


class Order(msgspec.Struct):
    id: str
    total: int = 10


class Receipt(msgspec.Struct):
    order: str
    paid: int


async def test_a_saga_returns_what_its_function_returns(engine: str) -> None:
    app, done = App("shop"), list[str]()

    async def reserve(order: Order) -> str:
        done.append("reserve")
        return f"shelf-{order.id}"

    def charge(order: Order) -> Receipt:
        done.append("charge")
        return Receipt(order.id, order.total)

    @app.saga("fulfil", version=1)
    async def fulfil(saga: Saga, order: Order) -> Receipt:
        assert await saga.step(reserve, order) == "shelf-1"
        return await saga.step(charge, order)

    async with app.test(engine=engine) as t:
        handle = await fulfil.start(Order("1"), id="1")
        await t.settle()
        assert await handle.result() == Receipt("1", 10)
        assert done == ["reserve", "charge"]
        status = await handle.status()
        assert (status.status, status.steps, status.version) == ("completed", 2, 1)


async def test_the_same_id_twice_is_one_saga(engine: str) -> None:
    app, done = App("shop"), list[str]()

    async def reserve(order: Order) -> None:
        done.append(order.id)

    @app.saga("fulfil")
    async def fulfil(saga: Saga, order: Order) -> None:
        await saga.step(reserve, order)

    async with app.test(engine=engine) as t:
        await fulfil.start(Order("1"), id="A")
        await fulfil.start(Order("2"), id="A")
        await t.settle()
        await fulfil.start(Order("3"), id="A")
        await t.settle()
        assert done == ["1"]


async def test_of_several_that_start_one_id_the_one_that_is_recorded_runs(
    engine: str,
) -> None:
    app, done = App("shop"), list[tuple[str, str]]()

    async def reserve(id: str, order: Order) -> None:
        done.append((id, order.id))

    @app.saga("fulfil")
    async def fulfil(saga: Saga, order: Order) -> str:
        await saga.step(reserve, saga.id, order)
        return order.id

    ids = [f"A-{number}" for number in range(30)]
    async with app.test(engine=engine) as t:
        for each in ids:
            for by in "123":  # the second asks while the first is taken up
                await fulfil.start(Order(by), id=each)
        await t.settle()
        recorded = [(each, await fulfil.handle(each).result()) for each in ids]
    assert sorted(done) == sorted(recorded)


async def test_a_saga_started_in_a_transaction_starts_with_its_commit(engine: str) -> None:
    app, done = App("shop"), list[str]()

    async def reserve(order: Order) -> None:
        done.append(order.id)

    @app.saga("fulfil")
    async def fulfil(saga: Saga, order: Order) -> None:
        await saga.step(reserve, order)

    async with app.test(engine=engine) as t:
        with pytest.raises(ValueError, match="no"):
            async with app.transaction():
                handle = await fulfil.start(Order("1"), id="1")
                raise ValueError("no")
        await t.settle()
        with pytest.raises(NotFoundError, match="never started"):
            await handle.status()
        async with app.transaction():
            await fulfil.start(Order("2"), id="2")
            await fulfil.start(Order("2"), id="2")
        await t.settle()
        async with app.transaction():
            await fulfil.start(Order("2"), id="2")
        await t.settle()
        assert done == ["2"]


async def test_a_step_with_a_transaction_commits_with_its_record(sql_engine: str) -> None:
    app = App("shop")
    notes = app.queue("notes", Order)

    async def prepare(tx: Transaction) -> None:
        await tx.execute("CREATE TABLE reserved (id TEXT)")

    async def reserve(tx: Transaction, order: Order) -> None:
        await tx.execute("INSERT INTO reserved VALUES (:id)", id=order.id)
        await notes.send(order)

    @app.saga("fulfil", retry=Retry(1))
    async def fulfil(saga: Saga, order: Order) -> str:
        await saga.step(prepare)
        await saga.step(reserve, order)
        try:
            await saga.step(fail, order)
        except StepFailedError as error:
            return f"{error.step} {error.kind}"
        return ""

    async def fail(order: Order, tx: Transaction) -> None:
        await reserve(tx, order)
        raise ValueError("no")

    async with app.test(engine=sql_engine) as t:
        handle = await fulfil.start(Order("1"), id="1")
        await t.settle()
        assert await handle.result() == "fail ValueError"
        async with app.transaction() as tx:
            assert [row.id for row in await tx.fetch("SELECT id FROM reserved")] == ["1"]
        assert t.sent(notes) == [Order("1")]


async def test_what_a_step_sends_leaves_with_its_record(engine: str) -> None:
    app = App("shop")
    mails = app.queue("mails", str)

    async def tell(order: Order) -> None:
        await mails.send(order.id)
        raise ValueError("after all")

    @app.saga("fulfil", retry=Retry(2, delay=1))
    async def fulfil(saga: Saga, order: Order) -> None:
        try:
            await saga.step(tell, order)
        except StepFailedError:
            await saga.step(mails.send, "failed")

    async with app.test(engine=engine) as t:
        await fulfil.start(Order("1"), id="1")
        await t.advance(10)
        assert t.sent(mails) == ["failed"]


async def test_a_step_is_tried_again_under_its_key_until_its_retries_are_spent(
    engine: str,
) -> None:
    app, keys = App("shop"), list[str]()

    async def charge(order: Order, key: IdempotencyKey) -> None:
        keys.append(key)
        raise ConnectionResetError("gone")

    @app.saga("fulfil", retry=Retry(3, delay=60, jitter="none"))
    async def fulfil(saga: Saga, order: Order) -> str:
        try:
            await saga.step(charge, order)
        except StepFailedError as error:
            return error.reason
        return ""

    async with app.test(engine=engine) as t:
        handle = await fulfil.start(Order("1"), id="1 a")
        await t.settle()
        assert "attempt 2" in (await handle.status()).waits_for[0]
        await t.advance(59)
        assert len(keys) == 1
        await t.advance(200)
        assert keys == ["fulfil/1%20a/1"] * 3
        assert await handle.result() == "ConnectionResetError: gone"


async def test_an_answer_is_not_asked_for_again(engine: str) -> None:
    app, tried = App("shop"), list[str]()

    class CardDeclinedError(Exception):
        pass

    async def charge(order: Order) -> None:
        tried.append(order.id)
        raise CardDeclinedError("no funds")

    @app.saga("fulfil", compensate_on=[CardDeclinedError])
    async def fulfil(saga: Saga, order: Order) -> str:
        try:
            await saga.step(charge, order)
        except Compensate as error:
            return str(error)
        return ""

    async with app.test(engine=engine) as t:
        handle = await fulfil.start(Order("1"), id="1")
        await t.settle()
        assert "CardDeclinedError: no funds" in await handle.result()
        assert tried == ["1"]


async def test_a_steps_function_is_given_what_it_asks_for(engine: str) -> None:
    app = App("shop")

    class Pool:
        size = 3

    @app.resource
    def pool() -> Pool:
        return Pool()

    def tenant() -> str:
        return "eu"

    async def reserve(
        order: Order, pool: Pool, region: Annotated[str, Depends(tenant)], *, times: int = 2
    ) -> str:
        return f"{order.id}{pool.size}{region}{times}"

    @app.saga("fulfil")
    async def fulfil(saga: Saga, order: Order) -> str:
        return await saga.step(reserve, order)

    async with app.test(engine=engine) as t:
        handle = await fulfil.start(Order("1"), id="1")
        await t.settle()
        assert await handle.result() == "13eu2"


class Opaque:
    pass


def opaque() -> Opaque:
    return Opaque()


async def typed() -> Opaque:
    return Opaque()


@pytest.mark.parametrize("function", [opaque, typed])
async def test_a_result_that_cannot_be_kept_is_refused_before_it_is_made(function) -> None:
    app = App("shop")

    @app.saga("fulfil")
    async def fulfil(saga: Saga) -> None:
        await saga.step(function)

    async with app.test() as t:
        handle = await fulfil.start(id="1")
        await t.settle()
        with pytest.raises(SagaStuckError, match=r"Opaque, cannot be kept") as error:
            await handle.result()
        assert error.value.reason == "failed"


async def test_a_result_without_a_type_has_to_be_plain(engine: str) -> None:
    app = App("shop")

    async def plain():
        return {"a": [1, None]}

    async def struct():
        return Order("1")

    @app.saga("fulfil", retry=Retry(1))
    async def fulfil(saga: Saga) -> str:
        assert await saga.step(plain) == {"a": [1, None]}
        await saga.step(struct)
        return ""

    async with app.test(engine=engine) as t:
        handle = await fulfil.start(id="1")
        await t.settle()
        with pytest.raises(SagaStuckError, match="annotate its type"):
            await handle.result()


async def test_what_a_saga_is_started_with_is_checked() -> None:
    app = App("shop")

    @app.saga("fulfil")
    async def fulfil(saga: Saga, order: Order) -> None:
        pass

    async with app.test():
        with pytest.raises(SchemaError, match="started with"):
            await fulfil.start("1", id="1")  # pyright: ignore[reportArgumentType]
        with pytest.raises(ConfigError, match="printable"):
            await fulfil.start(Order("1"), id="a\nb")


async def test_only_its_own_operations_may_be_awaited(engine: str) -> None:
    import asyncio

    app = App("shop")

    @app.saga("fulfil")
    async def fulfil(saga: Saga) -> None:
        await asyncio.get_running_loop().create_future()

    async with app.test(engine=engine) as t:
        handle = await fulfil.start(id="1")
        await t.settle()
        with pytest.raises(SagaStuckError, match="do it in a step"):
            await handle.result()


async def test_a_defect_of_the_function_leaves_it_stuck_and_undoes_nothing(engine: str) -> None:
    app, undone, broken = App("shop"), list[str](), [True]

    async def reserve(order: Order) -> str:
        return order.id

    async def release(reserved: str) -> None:
        undone.append(reserved)

    @app.saga("fulfil")
    async def fulfil(saga: Saga, order: Order) -> str:
        reserved = await saga.step(reserve, order, undo=release)
        return reserved if not broken[0] else {}["x"]

    async with app.test(engine=engine) as t:
        handle = await fulfil.start(Order("1"), id="1")
        await t.settle()
        with pytest.raises(SagaStuckError, match="KeyError: 'x'"):
            await handle.result()
        assert undone == []
        broken[0] = False
        await handle.resume()
        await t.settle()
        assert await handle.result() == "1"
        steps = [each for each in await handle.history() if isinstance(each, Done)]
        assert len(steps) == 1


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        ({"version": 0}, "whole number from 1"),
        ({"timeout": -1}, "seconds above 0"),
        ({"retry": 3}, "expected a Retry"),
        ({"concurrency": 0}, "out of range"),
        ({"nonsense": 1}, "has no option"),
        ({"compensate_on": ["x"]}, "no class of an error"),
    ],
)
def test_options_are_checked_where_they_are_said(words: dict, fault: str) -> None:
    app = App("shop")
    with pytest.raises(ConfigError, match=fault):

        @app.saga("fulfil", **words)
        async def fulfil(saga: Saga) -> None: ...


def test_a_saga_is_an_async_function_of_a_saga() -> None:
    app = App("shop")
    with pytest.raises(ConfigError, match="async def"):

        @app.saga("one")  # pyright: ignore[reportCallIssue, reportArgumentType]
        def one(saga: Saga) -> None: ...

    with pytest.raises(ConfigError, match="a saga takes a Saga"):

        @app.saga("two")  # pyright: ignore[reportCallIssue, reportArgumentType]
        async def two(order: Order) -> None: ...


def test_every_option_has_a_row_on_its_page() -> None:
    page = (Path(__file__).parents[2] / "docs/patterns/saga.md").read_text()
    rows = set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE))
    assert set(SagaOptions.__struct_fields__) - rows == set()
