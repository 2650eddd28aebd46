"""An ASGI application in this process answers in place of a server."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, StreamingResponse
from starlette.types import Receive, Scope, Send

from isthmus.resilience import Policy
from isthmus.services.client import AsgiTransport, Client, ConnectionBrokenError, RefusedError


def client_of(application) -> Client:
    return Client(
        "pay", "https://pay.example/v1", policy=Policy(), transport=AsgiTransport(application)
    )


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    request = Request(scope, receive)
    seen = {
        "method": request.method,
        "url": str(request.url),
        "kind": request.headers.get("content-type"),
        "length": request.headers.get("content-length"),
        "body": (await request.body()).decode(),
    }
    status = int(request.query_params.get("status", 200))
    await JSONResponse(seen, status)(scope, receive, send)


async def test_a_request_arrives_as_it_would_over_a_socket() -> None:
    async with client_of(echo) as client:
        got = await client.post("/a b", {"x": 1}, params={"q": "ü"}, result=dict[str, str])
        assert got == {
            "method": "POST",
            "url": "https://pay.example/v1/a b?q=%C3%BC",
            "kind": "application/json",
            "length": "7",
            "body": '{"x":1}',
        }
        with pytest.raises(RefusedError, match="404"):
            await client.get("/x", params={"status": 404})


async def test_bodies_stream_both_ways() -> None:
    async def upper(scope: Scope, receive: Receive, send: Send) -> None:
        async def chunks() -> AsyncIterator[bytes]:
            async for chunk in Request(scope, receive).stream():
                yield chunk.upper()

        await StreamingResponse(chunks())(scope, receive, send)

    async def lines() -> AsyncIterator[bytes]:
        yield b"a\n"
        yield b"b\n"

    async with client_of(upper) as client, client.stream("POST", "/x", lines()) as answer:
        assert [line async for line in answer.lines()] == ["A", "B"]


async def test_what_the_application_raises_is_raised() -> None:
    async def failing(scope: Scope, receive: Receive, send: Send) -> None:
        raise LookupError("a bug")

    async with client_of(failing) as client:
        with pytest.raises(LookupError, match="a bug"):
            await client.get("/x")


async def test_an_application_that_ends_too_early_is_a_broken_connection() -> None:
    async def silent(scope: Scope, receive: Receive, send: Send) -> None:
        pass

    async def half(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"x", "more_body": True})
        raise LookupError("a bug")

    async with client_of(silent) as client:
        with pytest.raises(ConnectionBrokenError, match="gave no answer"):
            await client.get("/x")
    async with client_of(half) as client:
        with pytest.raises(ConnectionBrokenError, match="in the middle") as caught:
            await client.get("/x")
    assert isinstance(caught.value.__cause__, LookupError)


async def test_a_caller_who_leaves_is_told_to_the_application() -> None:
    ended = asyncio.Event()

    async def endless(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            while True:
                await send({"type": "http.response.body", "body": b"x", "more_body": True})
        finally:
            ended.set()

    async with client_of(endless) as client:
        async with client.stream("GET", "/x") as answer:
            async for _ in answer.chunks():
                break
        assert ended.is_set()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.02):
                await client.get("/x")
