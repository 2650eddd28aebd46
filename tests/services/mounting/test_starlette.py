"""Starlette, and with it whatever is built on it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, StreamingResponse
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.websockets import WebSocket

from isthmus import App, ConfigError
from isthmus.deadline import remaining
from isthmus.services.layers.request_id import request_id


async def test_paths_parameters_and_links_are_those_below_the_mount(app: App, run: Any) -> None:
    async def show(request: Request) -> JSONResponse:
        link = request.url_for("v1:show", id="8")
        return JSONResponse([request.path_params["id"], request.scope["root_path"], link.path])

    items = Route("/items/{id}", show, name="show")
    app.mount("/legacy", Starlette(routes=[Mount("/v1", routes=[items], name="v1")]))
    async with run(app) as client:
        async with client.get("/legacy/v1/items/a%20b") as answer:
            assert await answer.json() == ["a b", "/legacy/v1", "/legacy/v1/items/8"]
        async with client.get("/legacy/none") as answer:
            assert (answer.status, await answer.text()) == (404, "Not Found")
        async with client.get("/other") as answer:
            assert answer.content_type == "application/problem+json"


async def test_state_of_the_lifespan_is_seen_by_requests(app: App, run: Any) -> None:
    events = list[str]()

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[dict[str, Any]]:
        events.append("started")
        yield {"pool": ["open"]}
        events.append("stopped")

    async def show(request: Request) -> JSONResponse:
        return JSONResponse(request.state.pool)

    app.mount("/legacy", Starlette(routes=[Route("/", show)], lifespan=lifespan))
    async with run(app) as client, client.get("/legacy/") as answer:
        assert await answer.json() == ["open"]
        assert events == ["started"]
    assert events == ["started", "stopped"]


async def test_request_id_and_deadline_are_in_force_inside(app: App, run: Any) -> None:
    async def show(_: Request) -> JSONResponse:
        return JSONResponse([request_id.get(), remaining()])

    app.mount("/legacy", Starlette(routes=[Route("/", show)]))
    async with run(app) as client:
        headers = {"X-Request-ID": "mine", "isthmus-deadline": "9999999999"}
        async with client.get("/legacy/", headers=headers) as answer:
            told, left = await answer.json()
            assert (told, answer.headers["X-Request-ID"]) == ("mine", "mine")
            assert left > 1_000_000
        async with client.get("/legacy/", headers={"isthmus-deadline": "1"}) as answer:
            assert answer.status == 504


async def test_a_websocket_is_served(
    app: App, run: Any, require: Any, caplog: pytest.LogCaptureFixture
) -> None:
    require(_installed("websockets") or _installed("wsproto"), "pip install websockets")

    async def echo(socket: WebSocket) -> None:
        await socket.accept()
        async for text in socket.iter_text():
            await socket.send_text(f"{text} from {socket.url.path}")

    app.mount("/legacy", Starlette(routes=[WebSocketRoute("/echo", echo)]))
    async with run(app) as client:
        async with client.ws_connect("/legacy/echo") as line:
            for number in range(3):
                await line.send_str(f"{number}")
                assert await line.receive_str() == f"{number} from /legacy/echo"
        for path in ("/nothing-is-here", f"/legacy/echo?{'q' * 20_000}"):
            with pytest.raises(aiohttp.WSServerHandshakeError, match=r"403|431"):
                await client.ws_connect(path)
    assert "ERROR" not in {record.levelname for record in caplog.records}


async def test_an_answer_is_streamed_as_it_is_made(app: App, run: Any) -> None:
    go_on = asyncio.Event()

    async def parts() -> AsyncIterator[bytes]:
        yield b"first "
        await go_on.wait()
        yield b"second"

    async def stream(_: Request) -> StreamingResponse:
        return StreamingResponse(parts())

    app.mount("/legacy", Starlette(routes=[Route("/", stream)]))
    async with run(app) as client, client.get("/legacy/") as answer:
        assert await answer.content.readexactly(6) == b"first "
        go_on.set()
        assert await answer.content.read() == b"second"


async def test_background_tasks_run_after_the_answer_and_before_the_end(app: App, run: Any) -> None:
    go_on, done = asyncio.Event(), asyncio.Event()

    async def later() -> None:
        await go_on.wait()
        done.set()

    async def show(_: Request) -> PlainTextResponse:
        return PlainTextResponse("now", background=BackgroundTask(later))

    app.mount("/legacy", Starlette(routes=[Route("/", show)]))
    async with run(app) as client:
        async with client.get("/legacy/") as answer:
            assert await answer.text() == "now"
        assert not done.is_set()
        await app.drain()
        go_on.set()
    assert done.is_set()


async def test_an_error_that_the_framework_answers_is_its_own(
    app: App, run: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(_: Request) -> None:
        raise ValueError("secret")

    app.mount("/legacy", Starlette(routes=[Route("/", broken)]))
    async with run(app) as client, client.get("/legacy/") as answer:
        assert (answer.status, await answer.text()) == (500, "Internal Server Error")
        assert answer.content_type == "text/plain"
        assert answer.headers["X-Request-ID"]
    assert "secret" in caplog.text


async def test_middleware_of_the_framework_works_inside(app: App, run: Any) -> None:
    async def show(_: Request) -> PlainTextResponse:
        return PlainTextResponse("x" * 5_000)

    middleware = [Middleware(GZipMiddleware), Middleware(CORSMiddleware, allow_origins=["*"])]
    app.mount("/legacy", Starlette(routes=[Route("/", show)], middleware=middleware))
    origin = {"Origin": "https://a.example"}
    async with run(app) as client, client.get("/legacy/", headers=origin) as answer:
        assert await answer.text() == "x" * 5_000
        assert answer.headers["Content-Encoding"] == "gzip"
        assert answer.headers["Access-Control-Allow-Origin"] == "*"


def _installed(name: str) -> bool:
    from importlib.util import find_spec

    return find_spec(name) is not None


def wsgi(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    raise NotImplementedError


@pytest.mark.parametrize(
    ("application", "told"),
    [
        (None, "NoneType is no ASGI application"),
        (App("inner", engine="memory://"), r"App is no ASGI application; an App gives app\.asgi"),
        (wsgi, r"function does not take \(scope, receive, send\) .* a2wsgi"),
    ],
)
def test_what_is_no_asgi_application_is_refused(app: App, application: Any, told: str) -> None:
    with pytest.raises(ConfigError, match=f"mount /legacy: {told}"):
        app.mount("/legacy", application)


@pytest.mark.parametrize("option", [{"idempotency": True}, {"body_limit": "1MB"}])
def test_an_option_of_a_mount_that_cannot_be_meant_is_refused(app: App, option: Any) -> None:
    with pytest.raises(ConfigError, match=f"mount /legacy: {next(iter(option))}=.*: expected"):
        app.mount("/legacy", Starlette(), **option)
