"""Litestar in an App."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import litestar
import msgspec
import pytest
from litestar import Litestar, Request, Response
from litestar.background_tasks import BackgroundTask
from litestar.exceptions import NotFoundException
from litestar.params import FromPath, JSONBody
from litestar.response import Stream

from isthmus import App


class Order(msgspec.Struct):
    id: str
    total: int


async def test_an_endpoint_takes_the_same_type_and_sends_it(app: App, run: Any) -> None:
    orders, handled = app.queue("orders", Order), asyncio.Queue[Order]()

    @orders.handler()
    async def accept(order: Order) -> None:
        handled.put_nowait(order)

    @litestar.post("/orders", status_code=202)
    async def take(data: JSONBody[Order]) -> None:
        await orders.send(data, id=data.id)

    app.mount("/api", Litestar([take]))
    async with run(app) as client:
        async with client.post("/api/orders", json={"id": "a", "total": 3}) as answer:
            assert answer.status == 202
        assert await asyncio.wait_for(handled.get(), 5) == Order("a", 3)
        async with client.post("/api/orders", json={"id": "a"}) as answer:
            assert answer.status == 400


async def test_lifespan_paths_and_links_below_the_mount(app: App, run: Any) -> None:
    events = list[str]()

    @asynccontextmanager
    async def lifespan(_: Litestar) -> AsyncGenerator[None]:
        events.append("started")
        yield
        events.append("stopped")

    @litestar.get("/items/{id:int}", name="show")
    async def show(id: FromPath[int], request: Request[Any, Any, Any]) -> list[Any]:
        return [id, request.url.path, request.url_for("show", id=8)]

    app.mount("/api", Litestar([show], lifespan=[lifespan]))
    async with run(app) as client:
        async with client.get("/api/items/7") as answer:
            id_, path, link = await answer.json()
        assert (id_, path) == (7, "/api/items/7")
        async with client.get(link) as answer:
            assert (await answer.json())[0] == 8
    assert events == ["started", "stopped"]


async def test_its_docs_are_right_below_the_mount(app: App, run: Any) -> None:
    @litestar.get("/items")
    async def items() -> list[str]:
        return []

    app.mount("/api", Litestar([items]))
    async with run(app) as client, client.get("/api/schema/openapi.json") as answer:
        assert answer.status == 200
        assert "/items" in msgspec.json.decode(await answer.read())["paths"]


async def test_streams_and_background_tasks(app: App, run: Any) -> None:
    done = asyncio.Event()

    async def later() -> None:
        done.set()

    async def parts() -> AsyncIterator[bytes]:
        for number in range(3):
            yield b"%d" % number

    @litestar.get("/stream")
    async def stream() -> Stream:
        return Stream(parts())

    @litestar.get("/later")
    async def begin() -> Response[str]:
        return Response("now", background=BackgroundTask(later))

    app.mount("/api", Litestar([stream, begin]))
    async with run(app) as client:
        async with client.get("/api/stream") as answer:
            assert await answer.read() == b"012"
        async with client.get("/api/later") as answer:
            assert await answer.text() == "now"
        await asyncio.wait_for(done.wait(), 5)


async def test_its_errors_are_its_own_and_nothing_leaks(
    app: App, run: Any, caplog: pytest.LogCaptureFixture
) -> None:
    @litestar.get("/missing")
    async def missing() -> None:
        raise NotFoundException("no such item")

    @litestar.get("/broken")
    async def broken() -> None:
        raise ValueError("secret")

    app.mount("/api", Litestar([missing, broken], debug=False))
    async with run(app) as client:
        async with client.get("/api/missing") as answer:
            assert (answer.status, (await answer.json())["detail"]) == (404, "no such item")
        async with client.get("/api/broken") as answer:
            assert answer.status == 500
            assert b"secret" not in await answer.read()
