"""How long a request may take, and what is around all of them."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from isthmus.contracts import Put, Transaction
from isthmus.errors import ConfigError
from isthmus.handling.declarations import Declarations
from isthmus.handling.host import Host
from isthmus.services import Conditional, Problem, add_middleware, mount, route

Serve = Callable[[Declarations], AbstractAsyncContextManager[Any]]


async def test_what_takes_too_long_is_cancelled_and_undone(
    declared: Declarations, serve: Serve
) -> None:
    cancelled = asyncio.Event()

    @route(declared, "POST", "/slow", timeout=0.05)
    async def slow(tx: Transaction, host: Host) -> None:
        await host.store.put("orders", [Put("a", b"")], tx=tx)
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    async with asyncio.timeout(20), serve(declared) as s:
        answer = await s.client.post("/slow")
        assert (answer.status, answer.kind) == (504, "application/problem+json")
        assert cancelled.is_set()
        assert not await s.host.store.get("orders", ["a"])


async def test_an_answer_that_has_begun_takes_its_time(
    declared: Declarations, serve: Serve
) -> None:
    beyond = asyncio.Event()

    @route(declared, "GET", "/stream", timeout=0.05)
    async def stream() -> AsyncIterator[bytes]:
        yield b"a"
        await beyond.wait()
        yield b"b"

    @route(declared, "POST", "/slow", timeout=0.1)
    async def slow() -> None:
        await asyncio.Event().wait()

    async with asyncio.timeout(20), serve(declared) as s:
        reading = asyncio.create_task(s.client.get("/stream"))
        assert (await s.client.post("/slow")).status == 504  # so the time of the first is over
        beyond.set()
        assert (await reading).body == b"ab"


@pytest.mark.parametrize("timeout", [-1, float("inf"), float("nan")])
def test_a_time_that_cannot_be_meant_is_refused(declared: Declarations, timeout: float) -> None:
    with pytest.raises(ConfigError, match=r"GET /: timeout"):
        route(declared, "GET", "/", timeout=timeout)


# --- middleware -----------------------------------------------------------------------------------


class Marked:
    """Notes which one it is, on the way out."""

    def __init__(self, app: ASGIApp, *, name: str, host: Host) -> None:
        self._app, self._name = app, f"{name}/{host.name}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def sent(event: Any) -> None:
            if event["type"] == "http.response.start":
                event["headers"] = [*event["headers"], (b"x-mark", self._name)]
            await send(event)

        await self._app(scope, receive, sent)


async def test_the_last_added_middleware_is_outermost_and_sees_errors(
    declared: Declarations, serve: Serve
) -> None:
    @route(declared, "GET", "/orders")
    async def orders() -> None:
        raise Problem(409, "no")

    add_middleware(declared, Marked, name="inner")
    add_middleware(declared, Marked, name="outer")
    for _ in range(2):  # an App that is opened again wears them once
        async with serve(declared) as s:
            answer = await s.client.get("/orders")
            assert answer.status == 409
            assert answer.headers.getall("x-mark") == ["inner/shop", "outer/shop"]
            assert (await s.client.get("/nothing")).headers["x-mark"] == "inner/shop"


async def test_middleware_that_fails_is_a_problem(
    declared: Declarations, serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    @route(declared, "GET", "/orders")
    async def orders() -> None: ...

    def failing(_: ASGIApp) -> ASGIApp:
        async def fail(scope: Scope, receive: Receive, send: Send) -> None:
            raise ValueError("secret")

        return fail

    add_middleware(declared, failing)
    async with serve(declared) as s:
        answer = await s.client.get("/orders")
        assert (answer.status, answer.kind) == (500, "application/problem+json")
        assert b"secret" not in answer.body
    assert "secret" in caplog.text


async def test_middleware_of_starlette_s_works(declared: Declarations, serve: Serve) -> None:
    @route(declared, "GET", "/orders")
    async def orders() -> str:
        return "x" * 2000

    add_middleware(declared, GZipMiddleware, minimum_size=500)
    add_middleware(declared, CORSMiddleware, allow_origins=["https://shop.example"])
    asked = {"Origin": "https://shop.example"}
    async with serve(declared) as s:
        answer = await s.client.get("/orders", headers={**asked, "Accept-Encoding": "gzip"})
        assert answer.headers["Content-Encoding"] == "gzip"
        assert answer.headers["Access-Control-Allow-Origin"] == "https://shop.example"
        assert answer.json() == "x" * 2000
        preflight = {**asked, "Access-Control-Request-Method": "GET"}
        told = await s.client.options("/orders", headers=preflight)
        assert told.status == 200
        assert "GET" in told.headers["Access-Control-Allow-Methods"]


# --- conditional requests around other applications ----------------------------------------------


def answering(*events: dict[str, Any], headers: Any = ()) -> ASGIApp:
    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": list(headers)})
        for event in events:
            await send({"type": "http.response.body", **event})

    return application


async def test_a_mounted_application_gets_tags_and_304(
    declared: Declarations, serve: Serve
) -> None:
    mount(declared, "/plain", Conditional(answering({"body": b"abc"})))
    pieces = ({"body": b"a", "more_body": True}, {"body": b"b"})
    mount(declared, "/pieces", Conditional(answering(*pieces)))
    mount(declared, "/large", Conditional(answering({"body": b"abc"}), limit=2))
    own = [(b"ETag", b'"1"'), (b"Content-Type", b"text/plain")]
    mount(declared, "/own", Conditional(answering({"body": b"abc"}, headers=own)))
    async with serve(declared) as s:
        tag = (await s.client.get("/plain/")).headers["ETag"]
        again = await s.client.get("/plain/", headers={"If-None-Match": tag})
        assert (again.status, again.body, again.headers["ETag"]) == (304, b"", tag)
        assert (await s.client.post("/plain/", headers={"If-None-Match": tag})).status == 200
        for path, body in (("/pieces/", b"ab"), ("/large/", b"abc")):
            answer = await s.client.get(path)
            assert (answer.body, "ETag" in answer.headers) == (body, False)
        known = await s.client.get("/own/", headers={"If-None-Match": '"1"'})
        assert (known.status, known.body) == (304, b"")
        assert "Content-Type" not in known.headers
