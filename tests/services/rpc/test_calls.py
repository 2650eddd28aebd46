"""One typed class serves and calls: four shapes of call, statuses, deadlines, transactions."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import msgspec
import pytest

from isthmus import App, ConflictError, Problem, Service, Transaction
from isthmus.deadline import deadline, remaining
from isthmus.errors import TimedOutError
from isthmus.services.problem import Fault
from isthmus.services.rpc import Code, RpcError, RpcRefusedError, RpcUnreachableError, given


class Ask(msgspec.Struct):
    sku: str
    count: int = 1


class Stock(msgspec.Struct):
    sku: str
    left: int
    notes: list[str] = []
    by_place: dict[str, int] = {}
    hint: str | None = None


class Inventory(Service, name="shop.v1.InventoryService"):
    async def look(self, request: Ask) -> Stock: ...
    def watch(self, request: Ask) -> AsyncIterator[Stock]: ...
    async def load(self, items: AsyncIterator[Ask]) -> Stock: ...
    def talk(self, words: AsyncIterator[Ask]) -> AsyncIterator[Stock]: ...


class Shelves(Inventory):
    def __init__(self) -> None:
        self.left: list[float | None] = []
        self.cancelled = asyncio.Event()

    async def look(self, request: Ask) -> Stock:
        self.left.append(remaining())
        match request.sku:
            case "secret":
                raise ValueError("the password is 1234")
            case "gone":
                raise Problem(404, "nobody sells it")
            case "clash":
                raise ConflictError("somebody else was first")
            case "wrong":
                raise Problem(422, faults=[Fault("body", "sku", "unknown")])
            case "never":
                try:
                    await asyncio.Event().wait()
                finally:
                    self.cancelled.set()
        return Stock(request.sku, request.count, ["a", "b"], {"berlin": 2})

    async def watch(self, request: Ask) -> AsyncIterator[Stock]:
        for left in range(request.count):
            yield Stock(request.sku, left, hint="more")

    async def load(self, items: AsyncIterator[Ask]) -> Stock:
        counts = [item.count async for item in items]
        return Stock("all", sum(counts))

    async def talk(self, words: AsyncIterator[Ask]) -> AsyncIterator[Stock]:
        async for word in words:
            yield Stock(word.sku, word.count + 1)


async def asks(*counts: int) -> AsyncIterator[Ask]:
    for count in counts:
        yield Ask("lamp", count)


async def test_each_of_the_four_shapes_is_served_and_called(serve: Any, caller: App) -> None:
    async with serve(Shelves()) as address:
        inventory = caller.stub(Inventory, address)
        async with caller:
            whole = Stock("lamp", 3, ["a", "b"], {"berlin": 2})
            assert await inventory.look(Ask("lamp", 3)) == whole
            watched = [each async for each in inventory.watch(Ask("lamp", 3))]
            assert [each.left for each in watched] == [0, 1, 2]
            assert watched[0].hint == "more"
            assert await inventory.load(asks(1, 2, 3)) == Stock("all", 6)
            assert [each.left async for each in inventory.talk(asks(1, 5))] == [2, 6]


@pytest.mark.parametrize(
    ("sku", "code"),
    [
        ("secret", Code.INTERNAL),
        ("gone", Code.NOT_FOUND),
        ("clash", Code.ABORTED),
        ("wrong", Code.INVALID_ARGUMENT),
    ],
)
async def test_errors_are_statuses_and_tell_nothing_of_the_inside(
    serve: Any, caller: App, sku: str, code: Code
) -> None:
    async with serve(Shelves()) as address:
        inventory = caller.stub(Inventory, address)
        async with caller:
            with pytest.raises(RpcError) as caught:
                await inventory.look(Ask(sku))
    error = caught.value.__cause__ if not caught.value.details else caught.value
    assert isinstance(error, RpcError)
    assert error.code() is code
    assert "1234" not in str(error)


async def test_every_fault_of_a_request_is_told(serve: Any, caller: App) -> None:
    async with serve(Shelves()) as address:
        inventory = caller.stub(Inventory, address)
        async with caller:
            with pytest.raises(RpcRefusedError) as caught:
                await inventory.look(Ask("wrong"))
    assert caught.value.problems == ("sku: unknown",)


async def test_the_caller_s_deadline_is_in_force_in_the_handler(serve: Any, caller: App) -> None:
    shelves = Shelves()
    async with serve(shelves) as address:
        inventory = caller.stub(Inventory, address)
        async with caller:
            with deadline(5):
                await inventory.look(Ask("lamp"))
    assert shelves.left[0] is not None
    assert 0 < shelves.left[0] <= 5


async def test_what_comes_too_late_is_cancelled_on_both_sides(serve: Any, caller: App) -> None:
    shelves = Shelves()
    async with serve(shelves) as address:
        inventory = caller.stub(Inventory, address)
        async with caller:
            with deadline(0.2), pytest.raises(TimedOutError):
                await inventory.look(Ask("never"))
            await shelves.cancelled.wait()


async def test_where_nobody_listens_a_call_never_ran(caller: App) -> None:
    inventory = caller.stub(Inventory, "127.0.0.1:1")
    async with caller:
        with pytest.raises(Exception, match="Look") as caught:
            await inventory.look(Ask("lamp"))
    causes = [caught.value, caught.value.__cause__]
    assert any(isinstance(each, RpcUnreachableError) for each in causes)


async def test_a_transaction_is_committed_before_the_answer(
    serve: Any, caller: App, tmp_path: Path
) -> None:
    class Selling(Shelves):
        async def look(self, request: Ask, tx: Transaction = given) -> Stock:
            await tx.execute("create table if not exists sold (sku)")
            await tx.execute("insert into sold values (:sku)", sku=request.sku)
            if request.sku == "gone":
                raise Problem(404, "nobody sells it")
            return Stock(request.sku, 0)

    app = App("shop", engine=f"sqlite:///{tmp_path}/shop.db")
    async with serve(Selling(), app=app) as address:
        inventory = caller.stub(Inventory, address)
        async with caller:
            await inventory.look(Ask("lamp"))
            with pytest.raises(RpcError):
                await inventory.look(Ask("gone"))
            async with app.transaction() as tx:
                assert [row.sku for row in await tx.fetch("select sku from sold")] == ["lamp"]


async def test_health_and_reflection_are_served(serve: Any) -> None:
    from grpc_health.v1 import health_pb2, health_pb2_grpc
    from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

    async with serve(Shelves()) as address, grpc.aio.insecure_channel(address) as opened:
        channel: Any = opened
        health: Any = health_pb2_grpc.HealthStub(channel)
        answer = await health.Check(health_pb2.HealthCheckRequest(service=""))
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
        reflection: Any = reflection_pb2_grpc.ServerReflectionStub(channel)
        request: Any = reflection_pb2.ServerReflectionRequest
        async for told in reflection.ServerReflectionInfo(iter([request(list_services="")])):
            names = {each.name for each in told.list_services_response.service}
            assert "shop.v1.InventoryService" in names
            break
