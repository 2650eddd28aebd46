"""HTTP/2, and the same promises as on the other server as far as granian lets us."""

import asyncio
import struct
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, suppress
from functools import partial
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import StreamingResponse

from isthmus.clock import ManualClock
from isthmus.errors import ConfigError
from isthmus.handling.declarations import Declarations
from isthmus.services import mount, route
from isthmus.services.serving.server import HttpServer

Serve = Callable[..., AbstractAsyncContextManager[Any]]
PRIOR = "--http2-prior-knowledge"


@pytest.fixture
def serve(serve: Serve) -> Serve:
    return partial(serve, http_server="granian")


@pytest.fixture
def hello(declared: Declarations) -> Declarations:
    @route(declared, "GET", "/hello/{name}")
    async def answer(name: str, request: Request) -> list[str]:
        return [name, request.scope["http_version"], request.url.query]

    return declared


async def test_http_2_is_spoken_with_prior_knowledge(
    hello: Declarations, serve: Serve, curl: Any
) -> None:
    async with serve(hello) as s:
        asked = await curl(PRIOR, f"{s.address}/hello/a%20b?c=d")
        assert asked == ("2 200", '["a b","2","c=d"]')


async def test_http_1_is_spoken_on_the_same_port(hello: Declarations, serve: Serve) -> None:
    async with serve(hello) as s:
        answer = await s.client.get("/hello/a")
        assert (answer.status, answer.json()) == (200, ["a", "1.1", ""])
        assert answer.headers["X-Request-ID"]


async def test_http_2_is_agreed_on_with_tls(
    hello: Declarations, serve: Serve, curl: Any, certificates: Any
) -> None:
    words = {"tls_certificate": certificates.server, "tls_key": certificates.server_key}
    async with serve(hello, **words) as s:
        trusting = ("--cacert", certificates.root, f"{s.address}/hello/a")
        assert (await curl(*trusting))[0] == "2 200"
        assert (await curl("--http1.1", *trusting))[0] == "1.1 200"


async def test_errors_are_problems_over_http_2_too(
    hello: Declarations, serve: Serve, curl: Any
) -> None:
    async with serve(hello) as s:
        status, body = await curl(PRIOR, f"{s.address}/nowhere")
        assert status == "2 404"
        assert '"title":"Not Found"' in body
        assert (await curl(PRIOR, f"{s.address}/hello/a?{'q' * 20_000}"))[0] == "2 414"


async def test_many_requests_share_a_connection(declared: Declarations, serve: Serve) -> None:
    together, all_there = 0, asyncio.Event()

    @route(declared, "GET", "/")
    async def meet() -> str:
        nonlocal together
        together += 1
        if together == 20:
            all_there.set()
        await all_there.wait()
        return "met"

    async with serve(declared) as s, asyncio.timeout(10):
        host, port = s.address.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(SETTINGS))
        streams = range(1, 41, 2)
        for stream in streams:
            writer.write(frame(HEADERS, END_HEADERS | END_STREAM, stream, GET_ROOT))
        statuses, ended = dict[int, bool](), set[int]()
        while ended != set(streams):
            kind, flags, stream, payload = await next_frame(reader)
            if kind == HEADERS:
                statuses[stream] = payload[:1] == STATUS_200
            if kind in {HEADERS, DATA} and flags & END_STREAM:
                ended.add(stream)
        assert all(statuses[stream] for stream in streams)
        writer.close()


# Source: RFC 9113, section 6, and RFC 7541, appendix A.
DATA, HEADERS, SETTINGS = 0, 1, 4
END_STREAM, END_HEADERS = 0x1, 0x4
GET_ROOT = b"\x82\x84\x86\x01\x01x"  # :method GET, :path /, :scheme http, :authority x
STATUS_200 = b"\x88"


def frame(kind: int, flags: int = 0, stream: int = 0, payload: bytes = b"") -> bytes:
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


async def next_frame(reader: asyncio.StreamReader) -> tuple[int, int, int, bytes]:
    head = await reader.readexactly(9)
    kind, flags, stream = struct.unpack(">BBI", head[3:])
    return kind, flags, stream, await reader.readexactly(int.from_bytes(head[:3], "big"))


async def test_what_runs_is_finished_and_nothing_new_begins(
    declared: Declarations, serve: Serve, curl: Any
) -> None:
    began, go_on = asyncio.Event(), asyncio.Event()

    @route(declared, "GET", "/slow")
    async def slow() -> str:
        began.set()
        await go_on.wait()
        return "done"

    async with serve(declared) as s:
        asking = asyncio.create_task(curl(PRIOR, f"{s.address}/slow"))
        await began.wait()
        await s.server.drain()
        host, port = s.address.removeprefix("http://").split(":")
        while True:
            try:
                reader, writer = await asyncio.open_connection(host, int(port))
            except OSError:
                break
            with suppress(ConnectionError):
                await reader.read()
            writer.close()
        assert not s.running.done()
        go_on.set()
        assert await asking == ("2 200", '"done"')


async def test_what_takes_longer_than_the_drain_is_cut(
    declared: Declarations, serve: Serve
) -> None:
    began, cut = asyncio.Event(), asyncio.Event()

    @route(declared, "GET", "/slow")
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


async def test_a_head_that_does_not_come_ends_its_connection(
    hello: Declarations, serve: Serve
) -> None:
    async with serve(hello, http_head_timeout=0.2) as s:
        host, port = s.address.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"GET / HTTP/1.1\r\nHost: ")
        async with asyncio.timeout(10):
            await reader.read()
        writer.close()


@pytest.mark.parametrize("version", [PRIOR, "--http1.1"])
@pytest.mark.parametrize("blindly", [True, False])
async def test_a_streamed_answer_stops_when_its_client_is_gone(
    declared: Declarations, serve: Serve, curl: Any, version: str, blindly: bool
) -> None:
    stopped = asyncio.Event()

    async def forever() -> AsyncIterator[bytes]:
        try:
            while True:
                yield bytes(1000)
        finally:
            stopped.set()

    @route(declared, "GET", "/seeing")
    async def stream() -> StreamingResponse:
        return StreamingResponse(forever())

    async def blind(scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "http"
        await send({"type": "http.response.start", "status": 200, "headers": []})
        try:
            while True:
                await send({"type": "http.response.body", "body": bytes(9), "more_body": True})
        finally:
            stopped.set()

    mount(declared, "/blind", blind)
    async with serve(declared) as s:
        path = "/blind/" if blindly else "/seeing"
        await curl(version, "--max-time", "0.5", "--output", "/dev/null", f"{s.address}{path}")
        async with asyncio.timeout(10):
            await stopped.wait()


async def test_a_client_that_does_not_read_is_cut_off(declared: Declarations, serve: Serve) -> None:
    made, stopped = 0, asyncio.Event()

    async def forever() -> AsyncIterator[bytes]:
        nonlocal made
        try:
            while True:
                made += 10_000
                yield bytes(10_000)
        finally:
            stopped.set()

    @route(declared, "GET", "/")
    async def stream() -> StreamingResponse:
        return StreamingResponse(forever())

    async with serve(declared, http_write_timeout=0.3) as s:
        host, port = s.address.removeprefix("http://").split(":")
        _, writer = await asyncio.open_connection(host, int(port), limit=1000)
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        async with asyncio.timeout(10):
            await stopped.wait()
        assert made < 64 << 20
        writer.transport.abort()


async def test_a_body_that_pauses_ends_for_its_reader(declared: Declarations, serve: Serve) -> None:
    @route(declared, "POST", "/")
    async def take(body: bytes) -> int:
        return len(body)

    async with serve(declared, http_body_timeout=0.2) as s:
        host, port = s.address.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhalf")
        async with asyncio.timeout(10):
            answer = await reader.readuntil(b"\r\n\r\n")
        assert b" 400 " in answer
        writer.close()


async def test_bodies_are_read_and_may_be_large(
    declared: Declarations, serve: Serve, curl: Any, tmp_path: Any
) -> None:
    @route(declared, "POST", "/", body_limit=4_000_000)
    async def take(body: bytes) -> int:
        return len(body)

    (tmp_path / "large").write_bytes(bytes(4_000_000))
    (tmp_path / "too-large").write_bytes(bytes(4_000_001))
    async with serve(declared) as s:
        for name, expected in (("large", "200"), ("too-large", "413")):
            body = ("--data-binary", f"@{tmp_path / name}", "-H", "content-type: application/json")
            assert (await curl(PRIOR, *body, s.address))[0] == f"2 {expected}"


async def test_without_granian_it_is_told_what_to_install(
    hello: Declarations, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "granian.server.embed", None)
    with pytest.raises(ConfigError, match=r"pip install 'isthmus\[http2\]'"):
        async with serve(hello):
            pass


async def test_it_ends_though_nobody_ever_came(hello: Declarations, serve: Serve) -> None:
    async with serve(hello) as s:
        assert isinstance(s.server, HttpServer)
        await ManualClock().settle(1)
