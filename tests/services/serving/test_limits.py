"""Clients that are slow, large, broken or gone: bounded, answered as they should be, and
nobody else notices."""

import asyncio
import io
import json
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, suppress
from importlib.util import find_spec
from typing import Any

import aiohttp
import pytest
from starlette.requests import Request
from starlette.responses import StreamingResponse

from isthmus.clock import ManualClock
from isthmus.handling.declarations import Declarations
from isthmus.services import mount, route
from isthmus.testing import FaultProxy, HalfOpen, Slices

Serve = Callable[..., AbstractAsyncContextManager[Any]]

GET = b"GET / HTTP/1.1\r\nHost: x\r\n"


@pytest.fixture(autouse=True, params=["httptools", "h11"])
def parser(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "h11":
        monkeypatch.setitem(sys.modules, "uvicorn.protocols.http.httptools_impl", None)
    return request.param


@pytest.fixture
def hello(declared: Declarations) -> Declarations:
    @route(declared, "GET", "/")
    async def answer() -> str:
        return "hello"

    return declared


class Line:
    """A connection on which a test says what it likes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def to(cls, address: str, **words: Any) -> "Line":
        host, port = address.removeprefix("http://").split(":")
        return cls(*await asyncio.open_connection(host, int(port), **words))

    def say(self, words: bytes) -> "Line":
        self.writer.write(words)
        return self

    async def end(self) -> bytes:
        """Return all that comes until the server ends the connection."""
        async with asyncio.timeout(10):
            heard = await self.reader.read()
        self.writer.close()
        return heard

    async def answer(self) -> bytes:
        """Return the next answer, which has a length."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
        return head + await self.reader.readexactly(int(length))


async def reply(address: str, words: bytes) -> bytes:
    return await (await Line.to(address)).say(words).end()


def status(answer: bytes) -> int:
    return int(answer.split(maxsplit=2)[1]) if answer else 0


# --- heads ----------------------------------------------------------------------------------


async def test_a_head_that_does_not_come_to_its_end_is_a_408(
    hello: Declarations, serve: Serve
) -> None:
    async with serve(hello, http_head_timeout=0.2) as s:
        assert status(await reply(s.address, GET)) == 408


async def test_who_says_nothing_gets_no_answer(hello: Declarations, serve: Serve) -> None:
    async with serve(hello, http_head_timeout=0.2) as s:
        assert await reply(s.address, b"") == b""


async def test_a_second_head_has_its_time_too(hello: Declarations, serve: Serve) -> None:
    async with serve(hello, http_head_timeout=0.2) as s:
        line = (await Line.to(s.address)).say(GET + b"\r\n")
        assert status(await line.answer()) == 200
        assert status(await line.say(GET).end()) == 408


async def test_heads_that_drip_are_ended_and_a_healthy_client_never_waits(
    hello: Declarations, serve: Serve
) -> None:
    async with serve(hello, http_head_timeout=0.3) as s:
        port = int(s.address.rpartition(":")[2])
        async with FaultProxy("127.0.0.1", port, Slices(1, delay=0.01, way="up")) as proxy:
            head = GET + b"".join(b"X-%d: y\r\n" % number for number in range(1000))
            slow = [asyncio.create_task(reply(proxy.url, head)) for _ in range(50)]
            while not all(task.done() for task in slow):
                async with asyncio.timeout(2):
                    assert (await s.client.get("/")).json() == "hello"
            ended = await asyncio.gather(*slow, return_exceptions=True)
            told = {status(each) for each in ended if isinstance(each, bytes)}
            assert told <= {408}, "nothing else; who was not heard in time is reset, unanswered"


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (GET + b"A: " + b"a" * 5_000 + b"\r\n\r\n", 431),
        (GET + b"A: " + b"a" * 5_000_000, 431),
        (b"GET / HTTP/1.1\r\n" + b"a" * 5_000_000, 431),
        (GET + b"A: a\r\n" * 120 + b"\r\n", 431),
        (b"GET /" + b"a" * 1_100 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414),
        (b"GET /?" + b"a" * 1_100 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414),
        (GET + b"A: " + b"a" * 3_000 + b"\r\n\r\n", 200),
        (b"GET /?" + b"a" * 900 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 200),
        (GET + b"A: a\r\n" * 90 + b"\r\n", 200),
    ],
    ids=["field", "endless field", "endless name", "fields", "path", "query", "ok", "ok", "ok"],
)
async def test_a_head_has_its_size(
    hello: Declarations, serve: Serve, head: bytes, expected: int
) -> None:
    async with serve(hello, http_head_limit=4_096) as s:
        line = (await Line.to(s.address)).say(head)
        answer = await line.answer()
        assert status(answer) == expected
        if expected != 200:
            assert b"application/problem+json" in answer
            assert await line.end() == b""
        line.writer.close()


# --- what is no HTTP, or more than one ------------------------------------------------------

POST = b"POST / HTTP/1.1\r\nHost: x\r\n"


@pytest.mark.parametrize(
    "words",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"nonsense\r\n\r\n",
        b"GET / HTTP/9.9\r\nHost: x\r\n\r\n",
        b"GET nowhere HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nbad header\r\n\r\n",
        GET + b"A: b\x00c\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        GET + b"Host: y\r\n\r\n",
        POST + b"Content-Length: many\r\n\r\n",
        POST + b"Content-Length: -1\r\n\r\n",
        POST + b"Content-Length: +3\r\n\r\nabc",
        POST + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
        POST + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        POST + b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
        POST + b"Transfer-Encoding: identity, chunked\r\n\r\n0\r\n\r\n",
        POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        POST + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
        POST + b"Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n",
        POST + b"Transfer-Encoding: chunked\r\n\r\n0x3\r\nabc\r\n0\r\n\r\n",
        POST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"POST / HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ],
)
async def test_what_two_servers_might_read_differently_is_refused(
    declared: Declarations, serve: Serve, words: bytes
) -> None:
    ran = list[bytes]()

    @route(declared, "POST", "/")
    async def take(body: bytes) -> None:
        ran.append(body)

    @route(declared, "GET", "/")
    async def give() -> None:
        ran.append(b"")

    async with serve(declared) as s:
        answer = await reply(s.address, words + GET + b"\r\n")
        assert status(answer) in {400, 501, 505}
        assert b"connection: close" in answer.lower()
        assert b"\r\nserver:" not in answer.lower()
        assert b"Traceback" not in answer
        assert answer.count(b"HTTP/1.1 ") == 1
        assert not ran


UPGRADE = b"Host: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
KEY = b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"


@pytest.mark.parametrize(
    "words",
    [
        b"GET /ws HTTP/1.1\r\n" + UPGRADE + b"\r\n",
        b"GET /ws HTTP/1.1\r\n" + UPGRADE.replace(b"13", b"7") + KEY + b"\r\n",
        b"GET /ws?" + b"a" * 9_000 + b" HTTP/1.1\r\n" + UPGRADE + KEY + b"\r\n",
        b"GET /" + b"a" * 9_000 + b" HTTP/1.1\r\n" + UPGRADE + KEY + b"\r\n",
        b"GET /ws HTTP/1.1\r\nA: " + b"a" * 9_000 + b"\r\n" + UPGRADE + KEY + b"\r\n",
        b"GET /ws HTTP/1.1\r\n" + b"A: a\r\n" * 120 + UPGRADE + KEY + b"\r\n",
        b"GET /nowhere HTTP/1.1\r\n" + UPGRADE + KEY + b"\r\n",
    ],
    ids=["no key", "old", "query", "path", "field", "fields", "nowhere"],
)
async def test_a_websocket_that_cannot_be_is_ended(
    hello: Declarations, serve: Serve, words: bytes, require: Any
) -> None:
    require(find_spec("websockets") is not None, "pip install websockets")
    async with serve(hello) as s:
        assert status(await reply(s.address, words)) in {400, 403, 426, 431}


async def test_requests_that_follow_each_other_closely_are_answered_in_order(
    declared: Declarations, serve: Serve
) -> None:
    @route(declared, "GET", "/{number}")
    async def show(number: int) -> int:
        return number

    words = b"".join(b"GET /%d HTTP/1.1\r\nHost: x\r\n\r\n" % number for number in range(20))
    async with serve(declared) as s:
        line = (await Line.to(s.address)).say(words)
        answers = [await line.answer() for _ in range(20)]
        assert [int(answer.rpartition(b"\n")[2]) for answer in answers] == list(range(20))
        line.writer.close()


async def test_nonsense_after_a_request_does_not_spoil_its_answer(
    declared: Declarations, serve: Serve
) -> None:
    go_on = asyncio.Event()

    @route(declared, "GET", "/")
    async def slow() -> str:
        await go_on.wait()
        return "whole"

    async with serve(declared) as s:
        line = (await Line.to(s.address)).say(GET + b"\r\n")
        line.say(b"nonsense\r\n\r\n")
        hearing = asyncio.create_task(line.end())
        await ManualClock(pause=0.001).settle(50)
        assert not hearing.done()
        go_on.set()
        answer = await hearing
        first, _, second = answer.partition(b'"whole"')
        assert status(first) == 200
        assert status(second) in {0, 400}


# --- bodies ---------------------------------------------------------------------------------


async def test_a_body_that_pauses_is_a_408(declared: Declarations, serve: Serve) -> None:
    @route(declared, "POST", "/")
    async def take(body: bytes) -> int:
        return len(body)

    async with serve(declared, http_body_timeout=0.2) as s:
        assert status(await reply(s.address, POST + b"Content-Length: 9\r\n\r\nhalf")) == 408
        assert (await s.client.post("/", data=b"whole")).json() == 5


async def test_a_handler_that_does_not_read_is_not_the_clients_fault(
    declared: Declarations, serve: Serve
) -> None:
    @route(declared, "POST", "/", body_limit=1 << 24)
    async def take(request: Request) -> int:
        await proceed.wait()
        return len(await request.body())

    proceed = asyncio.Event()
    async with serve(declared, http_body_timeout=0.1) as s:
        size = 4 << 20
        asking = asyncio.create_task(s.client.post("/", data=io.BytesIO(bytes(size))))
        done, _ = await asyncio.wait([asking], timeout=0.5)
        assert not done
        proceed.set()
        assert (await asking).json() == size


async def test_a_client_that_is_refused_while_it_writes_reads_why(
    declared: Declarations, serve: Serve
) -> None:
    @route(declared, "POST", "/")
    async def take(body: bytes) -> int:
        return len(body)

    async with serve(declared, http_head_limit=4_096) as s:
        line = await Line.to(s.address)
        line.say(POST + b"A: " + b"a" * 2_000_000)
        answer = await line.answer()
        line.say(b"a" * 2_000_000)
        assert status(answer) == 431
        assert await line.end() == b""


async def test_a_mounted_application_is_spared_bodies_too_large(
    declared: Declarations, serve: Serve
) -> None:
    read, most = 0, 0

    async def count(scope: Any, receive: Any, send: Any) -> None:
        nonlocal read, most
        assert scope["type"] == "http"
        more = True
        while more:
            event = await receive()
            size = len(event.get("body", b""))
            read, most = read + size, max(most, size)
            more = event.get("more_body", False)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"%d" % read})

    mount(declared, "/count", count, body_limit=10_000_000)
    async with serve(declared) as s:
        answer = await s.client.post("/count/", data=io.BytesIO(bytes(10_000_000)))
        assert answer.body == b"10000000"
        read = 0
        answer = await s.client.post("/count/", data=io.BytesIO(bytes(10_000_001)))
        assert (answer.status, answer.json()["limit"], read) == (413, 10_000_000, 0)
        line = (await Line.to(s.address)).say(
            b"POST /count/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        writing = asyncio.create_task(keep_writing(line))
        assert status(await line.reader.readuntil(b"\r\n\r\n")) == 413
        writing.cancel()
        line.writer.close()
        assert read <= 10_000_000
        assert most <= 1 << 20


async def keep_writing(line: Line) -> None:
    with suppress(ConnectionError):
        while True:
            line.say(b"10000\r\n" + bytes(1 << 16) + b"\r\n")
            await line.writer.drain()


# --- clients that are gone, or hardly there ---------------------------------------------------


async def test_a_handler_finishes_though_its_client_is_gone(
    declared: Declarations, serve: Serve
) -> None:
    began, go_on, done = asyncio.Event(), asyncio.Event(), asyncio.Event()

    @route(declared, "GET", "/")
    async def slow() -> str:
        began.set()
        await go_on.wait()
        done.set()
        return "nobody hears it"

    async with serve(declared) as s:
        line = (await Line.to(s.address)).say(GET + b"\r\n")
        await began.wait()
        line.writer.transport.abort()
        await ManualClock(pause=0.001).settle(50)
        go_on.set()
        async with asyncio.timeout(5):
            await done.wait()


async def test_a_streamed_answer_stops_when_its_client_is_gone(
    declared: Declarations, serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    stopped = asyncio.Event()

    async def forever() -> AsyncIterator[bytes]:
        try:
            while True:
                yield bytes(1000)
        finally:
            stopped.set()

    @route(declared, "GET", "/")
    async def stream() -> StreamingResponse:
        return StreamingResponse(forever())

    async with serve(declared) as s:
        line = (await Line.to(s.address)).say(GET + b"\r\n")
        await line.reader.readexactly(10_000)
        line.writer.transport.abort()
        async with asyncio.timeout(5):
            await stopped.wait()
    assert "ERROR" not in {record.levelname for record in caplog.records}


async def test_an_application_that_streams_blindly_is_stopped_too(
    declared: Declarations, serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    stopped = asyncio.Event()

    async def blind(scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "http"
        await send({"type": "http.response.start", "status": 200, "headers": []})
        try:
            while True:
                await send({"type": "http.response.body", "body": bytes(1000), "more_body": True})
                await ManualClock().settle(1)
        finally:
            stopped.set()

    mount(declared, "/blind", blind)
    async with serve(declared) as s:
        line = (await Line.to(s.address)).say(b"GET /blind/ HTTP/1.1\r\nHost: x\r\n\r\n")
        await line.reader.readexactly(10_000)
        line.writer.transport.abort()
        async with asyncio.timeout(5):
            await stopped.wait()
    assert "ERROR" not in {record.levelname for record in caplog.records}


async def test_a_client_that_reads_no_more_is_cut_off_and_little_waits_for_it(
    declared: Declarations, serve: Serve
) -> None:
    stopped, made = asyncio.Event(), 0

    async def forever() -> AsyncIterator[bytes]:
        nonlocal made
        try:
            while True:
                made += 10_000
                yield bytes(10_000)
        finally:
            stopped.set()

    @route(declared, "GET", "/stream")
    async def stream() -> StreamingResponse:
        return StreamingResponse(forever())

    @route(declared, "GET", "/")
    async def answer() -> str:
        return "hello"

    async with serve(declared, http_write_timeout=0.3) as s:
        port = int(s.address.rpartition(":")[2])
        async with FaultProxy("127.0.0.1", port, HalfOpen(way="down", after=1_000)) as proxy:
            line = (await Line.to(proxy.url)).say(b"GET /stream HTTP/1.1\r\nHost: x\r\n\r\n")
            while not stopped.is_set():
                assert (await s.client.get("/")).status == 200
            line.writer.close()
        # what the kernel's buffers hold, and those of the server
        assert made < 32 << 20


async def test_a_client_that_reads_slowly_but_reads_is_not_cut_off(
    declared: Declarations, serve: Serve
) -> None:
    @route(declared, "GET", "/")
    async def large() -> bytes:
        return bytes(40 << 20)

    async with serve(declared, http_write_timeout=0.3) as s:
        line = (await Line.to(s.address, limit=1 << 16)).say(GET + b"Connection: close\r\n\r\n")
        size, waiting = 0, asyncio.Event()
        while data := await line.reader.read(1 << 20):
            size += len(data)
            with suppress(TimeoutError):
                async with asyncio.timeout(0.005):
                    await waiting.wait()
        line.writer.close()
        assert size >= 40 << 20


async def test_a_connection_does_not_idle_for_ever(hello: Declarations, serve: Serve) -> None:
    async with serve(hello, http_idle_timeout=0.2, http_head_timeout=0.5) as s:
        line = (await Line.to(s.address)).say(GET + b"\r\n")
        assert status(await line.answer()) == 200
        assert await line.end() == b""


# --- too many of them -------------------------------------------------------------------------


async def test_one_connection_too_many_is_a_503(declared: Declarations, serve: Serve) -> None:
    go_on = asyncio.Event()

    @route(declared, "GET", "/")
    async def slow() -> str:
        await go_on.wait()
        return "done"

    async with serve(declared, http_connections=4) as s:
        lines = [(await Line.to(s.address)).say(GET + b"\r\n") for _ in range(4)]
        answer = await reply(s.address, GET + b"\r\n")
        assert status(answer) == 503
        assert b"retry-after: 1" in answer
        assert json.loads(answer.rpartition(b"\r\n")[2])["title"] == "Service Unavailable"
        go_on.set()
        for line in lines:
            assert status(await line.answer()) == 200
            line.writer.close()


async def test_a_flood_of_connections_leaves_room_for_a_healthy_client(
    hello: Declarations, serve: Serve
) -> None:
    async with serve(hello, http_connections=20, http_head_timeout=60) as s:
        flood = [await Line.to(s.address) for _ in range(18)]
        for line in flood:
            line.say(GET)
        answered = 0
        for _ in range(200):
            async with aiohttp.ClientSession(s.address) as client:  # a connection of its own
                with suppress(aiohttp.ClientError):
                    async with client.get("/") as answer:
                        answered += answer.status == 200
            flood.append((await Line.to(s.address)).say(GET))
            await ManualClock(pause=0.001).settle(10)
        assert answered >= 20
        for line in flood:
            line.writer.close()


# --- time -------------------------------------------------------------------------------------


async def test_an_answer_that_does_not_begin_in_its_time_is_a_504(
    declared: Declarations, serve: Serve
) -> None:
    cut = asyncio.Event()

    @route(declared, "GET", "/")
    async def never() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cut.set()

    @route(declared, "GET", "/quick")
    async def quick() -> None: ...

    async with serve(declared, http_request_timeout=0.2) as s:
        asking = [asyncio.create_task(s.client.get("/")) for _ in range(3)]
        assert (await s.client.get("/quick")).status == 204
        for answer in await asyncio.gather(*asking):
            assert (answer.status, answer.kind) == (504, "application/problem+json")
        assert cut.is_set()
        assert (await s.client.get("/quick")).status == 204


async def test_an_answer_that_has_begun_may_take_its_time(
    declared: Declarations, serve: Serve
) -> None:
    first = asyncio.Event()

    async def parts() -> AsyncIterator[bytes]:
        yield b"first "
        first.set()
        with suppress(TimeoutError):
            async with asyncio.timeout(0.5):
                await asyncio.Event().wait()
        yield b"last"

    @route(declared, "GET", "/")
    async def stream() -> StreamingResponse:
        return StreamingResponse(parts())

    async with serve(declared, http_request_timeout=0.1) as s:
        assert (await s.client.get("/")).body == b"first last"
        assert first.is_set()


async def test_a_handler_may_be_given_all_the_time(declared: Declarations, serve: Serve) -> None:
    @route(declared, "GET", "/")
    async def slow() -> str:
        with suppress(TimeoutError):
            async with asyncio.timeout(0.3):
                await asyncio.Event().wait()
        return "done"

    async with serve(declared, http_request_timeout=0) as s:
        assert (await s.client.get("/")).json() == "done"
