"""What the server promises: its port, its end, and the applications mounted on it."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import Any

import aiohttp
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from isthmus.clock import SystemClock
from isthmus.errors import ConfigError, UnavailableError
from isthmus.handling.declarations import Declarations
from isthmus.handling.running.opening import opened
from isthmus.services import mount, route
from isthmus.services.serving.listener import address_of, listen
from isthmus.services.serving.server import HttpServer
from isthmus.settings import Settings
from isthmus.signals import Signals

Serve = Callable[[Declarations], AbstractAsyncContextManager[Any]]


def get(declared: Declarations, path: str) -> Any:
    return route(declared, "GET", path)


# --- the port -------------------------------------------------------------------------------


async def test_a_taken_port_is_told_with_the_way_out(declared: Declarations) -> None:
    get(declared, "/")(nothing)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        settings = Settings(engine="memory://", port=taken.getsockname()[1])
        async with opened("shop", declared, settings, SystemClock(), Signals()) as host:
            with pytest.raises(ConfigError, match="taken by another process; choose one with"):
                await declared.workers[0].run(host)


async def test_a_host_of_another_machine_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"cannot listen on 203\.0\.113\.1"):
        listen("203.0.113.1", 0)


async def test_an_inherited_socket_is_served(declared: Declarations) -> None:
    get(declared, "/")(nothing)
    listener = listen("127.0.0.1", 0)
    address = address_of(listener)
    settings = Settings(engine="memory://", port=1, listener=listener.detach())
    async with opened("shop", declared, settings, SystemClock(), Signals()) as host:
        server = HttpServer(declared)
        running = asyncio.create_task(server.run(host))
        async with aiohttp.ClientSession(address) as client, client.get("/") as answer:
            assert answer.status == 204
        await server.drain()
        await running


# --- the end --------------------------------------------------------------------------------


async def test_a_request_that_runs_is_finished_and_no_other_begins(
    declared: Declarations, serve: Serve
) -> None:
    began, go_on = asyncio.Event(), asyncio.Event()

    @get(declared, "/slow")
    async def slow() -> str:
        began.set()
        await go_on.wait()
        return "done"

    async with serve(declared) as s:
        asking = asyncio.create_task(s.client.get("/slow"))
        await began.wait()
        await s.server.drain()
        while await _connects(s.address):
            pass
        assert not s.running.done()
        go_on.set()
        answer = await asking
        assert (answer.status, answer.json()) == (200, "done")
        assert answer.headers["Connection"] == "close"


async def test_every_request_that_runs_is_answered_while_the_server_drains(
    declared: Declarations, serve: Serve
) -> None:
    ran, answered, refused = 0, 0, 0

    @get(declared, "/count")
    async def count() -> int:
        nonlocal ran
        ran += 1
        return ran

    async def ask(client: Any) -> None:
        nonlocal answered, refused
        with suppress(aiohttp.ClientConnectorError):  # refused: it never ran
            while True:
                assert (await client.get("/count")).status == 200
                answered += 1
                enough.set() if answered >= 200 else None
        refused += 1

    enough = asyncio.Event()
    async with serve(declared) as s:
        asking = [asyncio.create_task(ask(s.client)) for _ in range(8)]
        await enough.wait()
        await s.server.drain()
        await asyncio.gather(*asking)
        await s.running
    assert refused == 8
    assert answered == ran >= 200


async def test_a_request_that_takes_longer_than_the_drain_is_cut(
    declared: Declarations, serve: Serve
) -> None:
    began, cut = asyncio.Event(), asyncio.Event()

    @get(declared, "/slow")
    async def slow() -> None:
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            cut.set()

    async with serve(declared) as s:
        asking = asyncio.create_task(s.client.get("/slow"))
        await began.wait()
        s.running.cancel()
        await asyncio.wait([s.running])
        assert cut.is_set()
        assert (await asking).status == 503


async def test_idle_connections_do_not_hold_up_the_end(
    declared: Declarations, serve: Serve
) -> None:
    get(declared, "/")(nothing)
    async with serve(declared) as s:
        assert (await s.client.get("/")).status == 204  # and its connection stays open
        await s.server.drain()
        await s.running


async def test_a_server_that_drains_is_live_and_not_ready(
    declared: Declarations, serve: Serve
) -> None:
    get(declared, "/")(nothing)
    async with serve(declared) as s:
        assert (await s.client.get("/readyz")).status == 200
        await s.server.drain()
        answer = await s.client.get("/readyz")  # on the connection that is open
        assert (answer.status, answer.json()["detail"]) == (503, "shutting down")


async def test_a_server_without_its_store_is_live_and_not_ready(
    declared: Declarations, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def unreachable(*_: Any, **__: Any) -> None:
        raise UnavailableError("gone")

    get(declared, "/")(nothing)
    async with serve(declared) as s:
        monkeypatch.setattr(s.host.store, "get", unreachable)
        assert (await s.client.get("/healthz")).status == 200
        assert (await s.client.get("/readyz")).status == 503


async def test_own_health_paths_come_first(declared: Declarations, serve: Serve) -> None:
    @get(declared, "/healthz")
    async def own() -> str:
        return "mine"

    async with serve(declared) as s:
        assert (await s.client.get("/healthz")).json() == "mine"


async def test_a_client_that_leaves_within_its_body_does_no_harm(
    declared: Declarations, serve: Serve
) -> None:
    @route(declared, "POST", "/")
    async def take(body: bytes) -> int:
        return len(body)

    async with serve(declared) as s:
        host, port = s.address.removeprefix("http://").split(":")
        _, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf")
        await writer.drain()
        writer.close()
        assert (await s.client.post("/", data=b"whole")).json() == 5


# --- modules and mounts ---------------------------------------------------------------------


async def test_routes_of_modules_share_the_server(declared: Declarations, serve: Serve) -> None:
    modules = [Declarations("orders"), Declarations("bills")]
    for module in modules:
        get(module, f"/{module.name}")(nothing)
        declared.include(module)
    get(modules[0], "/later")(nothing)
    assert [worker.name for worker in declared.workers] == ["http"]
    async with serve(declared) as s:
        for path in ("/orders", "/bills", "/later"):
            assert (await s.client.get(path)).status == 204


async def test_a_mounted_application_sees_itself_at_the_root(
    declared: Declarations, serve: Serve
) -> None:
    async def show(request: Request) -> JSONResponse:
        told = [request.url.path, request.path_params["id"], request.state.pool]
        return JSONResponse(told)

    events: list[str] = []

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[dict[str, str]]:
        events.append("started")
        yield {"pool": "open"}
        events.append("stopped")

    legacy = Starlette(routes=[Route("/items/{id}", show)], lifespan=lifespan)
    mount(declared, "/legacy", legacy)
    async with serve(declared) as s:
        assert events == ["started"]
        answer = await s.client.get("/legacy/items/7")
        assert answer.json() == ["/legacy/items/7", "7", "open"]
        assert answer.headers["X-Request-ID"]
        assert (await s.client.get("/legacy/none")).status == 404
    assert events == ["started", "stopped"]


async def test_a_mounted_application_may_know_no_lifespan(
    declared: Declarations, serve: Serve
) -> None:
    async def bare(scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "http"
        await JSONResponse("bare")(scope, receive, send)

    mount(declared, "/bare", bare)
    async with serve(declared) as s:
        assert (await s.client.get("/bare/x")).json() == "bare"


async def test_a_mounted_application_that_cannot_start_is_told(
    declared: Declarations, serve: Serve
) -> None:
    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        raise RuntimeError("no database")
        yield

    mount(declared, "/legacy", Starlette(lifespan=lifespan))
    with pytest.raises(ConfigError, match=r"(?s)mounted at /legacy did not start.*no database"):
        async with serve(declared):
            pass


async def test_an_error_of_a_mounted_application_is_a_problem(
    declared: Declarations, serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(scope: Any, receive: Any, send: Any) -> None:
        raise ValueError("secret")

    mount(declared, "/broken", broken)
    async with serve(declared) as s:
        answer = await s.client.get("/broken/x")
    assert (answer.status, answer.kind) == (500, "application/problem+json")
    assert b"secret" not in answer.body
    assert "secret" in caplog.text


@pytest.mark.parametrize("path", ["legacy", "/legacy/", "/{id}"])
def test_a_mount_path_is_plain(declared: Declarations, path: str) -> None:
    with pytest.raises(ConfigError, match="mount path"):
        mount(declared, path, Starlette())


async def nothing() -> None: ...


async def _connects(address: str) -> bool:
    host, port = address.removeprefix("http://").split(":")
    try:
        _, writer = await asyncio.open_connection(host, int(port))
    except (ConnectionRefusedError, ConnectionResetError):
        return False
    writer.close()
    return True
