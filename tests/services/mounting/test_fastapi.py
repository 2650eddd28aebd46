"""FastAPI in an App: its own routes and pages, and ours to hand."""

import asyncio
from typing import Annotated, Any

import msgspec
import pytest
from fastapi import BackgroundTasks, Depends, FastAPI, HTTPException, WebSocket
from pydantic import BaseModel

from isthmus import App, Transaction


class Order(msgspec.Struct):
    id: str
    total: int


class Draft(BaseModel):
    id: str
    total: int


@pytest.fixture
def api() -> FastAPI:
    return FastAPI(title="legacy")


async def test_validation_and_dependencies_are_fastapis(app: App, api: FastAPI, run: Any) -> None:
    async def double(total: int) -> int:
        return 2 * total

    @api.get("/items/{id}")
    async def show(id: int, twice: Annotated[int, Depends(double)]) -> dict[str, int]:
        return {"id": id, "twice": twice}

    app.mount("/api", api)
    async with run(app) as client:
        async with client.get("/api/items/7?total=4") as answer:
            assert await answer.json() == {"id": 7, "twice": 8}
        async with client.get("/api/items/x?total=4") as answer:
            assert answer.status == 422
            assert (await answer.json())["detail"][0]["loc"] == ["path", "id"]


async def test_its_docs_are_right_below_the_mount(app: App, api: FastAPI, run: Any) -> None:
    @api.get("/items")
    async def items() -> list[str]:
        return []

    app.mount("/api", api)
    async with run(app) as client:
        async with client.get("/api/docs") as answer:
            assert "'/api/openapi.json'" in await answer.text()
        async with client.get("/api/openapi.json") as answer:
            document = await answer.json()
        assert document["servers"] == [{"url": "/api"}]
        assert list(document["paths"]) == ["/items"]
        async with client.get(f"{document['servers'][0]['url']}/items") as answer:
            assert await answer.json() == []


async def test_an_endpoint_sends_messages_of_the_app(app: App, api: FastAPI, run: Any) -> None:
    orders, handled = app.queue("orders", Order), asyncio.Queue[Order]()

    @orders.handler()
    async def accept(order: Order) -> None:
        handled.put_nowait(order)

    @api.post("/orders", status_code=202)
    async def take(draft: Draft) -> None:
        await orders.send(Order(draft.id, draft.total), id=draft.id)

    app.mount("/api", api)
    async with run(app) as client:
        async with client.post("/api/orders", json={"id": "a", "total": 3}) as answer:
            assert answer.status == 202
        assert await asyncio.wait_for(handled.get(), 5) == Order("a", 3)


async def test_an_endpoint_has_the_transaction_of_rows_and_messages(
    api: FastAPI, run: Any, tmp_path: Any
) -> None:
    app = App("shop", engine=f"sqlite:///{tmp_path}/shop.db")
    orders = app.queue("orders", Order)

    async def transaction() -> Any:
        async with app.transaction() as tx:
            yield tx

    @api.post("/orders")
    async def take(draft: Draft, tx: Annotated[Transaction, Depends(transaction)]) -> None:
        await tx.execute("create table if not exists taken (id)")
        await tx.execute("insert into taken values (:id)", id=draft.id)
        await orders.send(Order(draft.id, draft.total))
        if draft.total < 0:
            raise HTTPException(409, "no such total")

    app.mount("/api", api)
    async with run(app) as client:
        for draft, status in ((Draft(id="a", total=1), 200), (Draft(id="b", total=-1), 409)):
            async with client.post("/api/orders", json=draft.model_dump()) as answer:
                assert answer.status == status
        async with app.transaction() as tx:
            assert await tx.fetch("select id from taken") == [("a",)]
        stats = await app.declarations.host.queue.stats("orders", "orders")
        assert stats.ready == 1


async def test_websockets_and_background_tasks(
    app: App, api: FastAPI, run: Any, require: Any
) -> None:
    done = asyncio.Event()

    async def later() -> None:
        done.set()

    @api.get("/later", status_code=202)
    async def begin(tasks: BackgroundTasks) -> None:
        tasks.add_task(later)

    @api.websocket("/echo")
    async def echo(socket: WebSocket) -> None:
        await socket.accept()
        await socket.send_text(await socket.receive_text())
        await socket.close()

    app.mount("/api", api)
    async with run(app) as client:
        async with client.get("/api/later") as answer:
            assert answer.status == 202
        await asyncio.wait_for(done.wait(), 5)
        async with client.ws_connect("/api/echo") as line:
            await line.send_str("hello")
            assert await line.receive_str() == "hello"


async def test_its_errors_are_its_own_and_nothing_leaks(
    app: App, api: FastAPI, run: Any, caplog: pytest.LogCaptureFixture
) -> None:
    @api.get("/missing")
    async def missing() -> None:
        raise HTTPException(404, "no such item")

    @api.get("/broken")
    async def broken() -> None:
        raise ValueError("secret")

    app.mount("/api", api)
    async with run(app) as client:
        async with client.get("/api/missing") as answer:
            assert (answer.status, await answer.json()) == (404, {"detail": "no such item"})
        async with client.get("/api/broken") as answer:
            assert (answer.status, await answer.text()) == (500, "Internal Server Error")
    assert "secret" in caplog.text
