"""What answers promise that are made while they are sent."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Annotated, Any

import aiohttp
import msgspec
import pytest

from isthmus.clock import ManualClock
from isthmus.contracts import Transaction
from isthmus.errors import ConfigError
from isthmus.handling.calling.dependencies import Depends
from isthmus.handling.declarations import Declarations
from isthmus.services import Problem, ServerSentEvent, route
from isthmus.services.rest.events import written
from isthmus.services.rest.streaming import QUIET, stream_of

Serve = Callable[[Declarations], AbstractAsyncContextManager[Any]]


class Stock(msgspec.Struct):
    sku: str
    left: int


def get(declared: Declarations, path: str = "/stream") -> Any:
    return route(declared, "GET", path)


async def test_pieces_are_sent_by_their_type(declared: Declarations, serve: Serve) -> None:
    @get(declared, "/bytes")
    async def octets() -> AsyncIterator[bytes]:
        yield b"a"
        yield b"\xff"

    @get(declared, "/text")
    async def text() -> AsyncIterator[str]:
        yield "é"

    @get(declared, "/lines")
    async def lines() -> AsyncIterator[Stock]:
        yield Stock("a", 1)
        yield Stock("b", 2)

    @get(declared, "/none")
    async def none() -> AsyncIterator[bytes]:
        for never in ():
            yield never

    async with serve(declared) as s:
        told = {}
        for path in ("/bytes", "/text", "/lines", "/none"):
            answer = await s.client.get(path)
            assert answer.status == 200
            told[path] = (answer.kind, answer.body)
            assert (await s.client.head(path)).body == b""
    assert told == {
        "/bytes": ("application/octet-stream", b"a\xff"),
        "/text": ("text/plain", "é".encode()),
        "/lines": ("application/jsonl", b'{"sku":"a","left":1}\n{"sku":"b","left":2}\n'),
        "/none": ("application/octet-stream", b""),
    }


async def test_a_piece_arrives_when_it_is_made(declared: Declarations, serve: Serve) -> None:
    go_on = asyncio.Event()

    @get(declared)
    async def stock(since: int) -> AsyncIterator[ServerSentEvent[Stock]]:
        yield ServerSentEvent(Stock("a", since), event="stock", id="1", retry=2)
        await go_on.wait()
        yield ServerSentEvent(Stock("b", since))

    async with (
        asyncio.timeout(20),
        serve(declared) as s,
        aiohttp.ClientSession(s.address) as session,
        session.get("/stream?since=3") as answer,
    ):
        assert answer.content_type == "text/event-stream"
        assert answer.headers["Cache-Control"] == "no-store"
        first = await answer.content.readuntil(b"\n\n")
        assert first == b'event: stock\nid: 1\nretry: 2000\ndata: {"sku":"a","left":3}\n\n'
        go_on.set()
        assert await answer.content.read() == b'data: {"sku":"b","left":3}\n\n'


async def test_what_fails_before_the_first_piece_is_a_problem(
    declared: Declarations, serve: Serve
) -> None:
    @get(declared)
    async def stream() -> AsyncIterator[bytes]:
        raise Problem(409, "not now")
        yield b""

    async with serve(declared) as s:
        answer = await s.client.get("/stream")
        assert (answer.status, answer.json()["detail"]) == (409, "not now")


async def test_what_fails_later_cuts_the_answer_off(
    declared: Declarations, serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    @get(declared)
    async def stream() -> AsyncIterator[bytes]:
        yield b"a"
        raise ValueError("secret")

    async with serve(declared) as s:
        with pytest.raises(aiohttp.ClientPayloadError):
            await s.client.get("/stream")
    assert "secret" in caplog.text


async def test_dependencies_are_closed_at_the_end_of_the_stream(
    declared: Declarations, serve: Serve
) -> None:
    told: list[str] = []

    async def cursor() -> AsyncIterator[str]:
        told.append("open")
        yield "row"
        told.append("closed")

    @get(declared)
    async def stream(row: Annotated[str, Depends(cursor)]) -> AsyncIterator[str]:
        yield row
        told.append("sent")

    async with serve(declared) as s:
        assert (await s.client.get("/stream")).body == b"row"
    assert told == ["open", "sent", "closed"]


async def test_a_client_that_goes_away_ends_the_handler(
    declared: Declarations, serve: Serve
) -> None:
    ended = asyncio.Event()

    @get(declared)
    async def stream() -> AsyncIterator[str]:
        try:
            yield "a"
            await asyncio.Event().wait()
        finally:
            ended.set()

    async with asyncio.timeout(20), serve(declared) as s:
        async with (
            aiohttp.ClientSession(s.address) as session,
            session.get("/stream") as answer,
        ):
            assert await answer.content.read(1) == b"a"
        await ended.wait()


async def test_a_quiet_stream_of_events_says_that_it_lives() -> None:
    from isthmus.services.rest.streaming import Streaming

    clock, sent = ManualClock(), list[bytes]()

    class Call:
        class host:  # noqa: N801
            pass

        async def __aenter__(self) -> None: ...
        async def __aexit__(self, *_: object) -> None: ...

    Call.host.clock = clock  # pyright: ignore[reportAttributeAccessIssue]

    async def silent() -> AsyncIterator[ServerSentEvent[str]]:
        await asyncio.Event().wait()
        yield ServerSentEvent("never")

    async def receive() -> Any:
        await asyncio.Event().wait()

    async def send(event: Any) -> None:
        sent.append(event.get("body", b""))

    stream = stream_of(AsyncIterator[ServerSentEvent[str]])
    assert stream is not None
    call: Any = Call()
    streaming = Streaming(stream, silent(), 200, call)
    running = asyncio.create_task(streaming({"method": "GET"}, receive, send))
    await clock.advance(2.5 * QUIET)
    assert sent == [b"", b": \n\n", b": \n\n"]
    running.cancel()
    await asyncio.wait([running])


@pytest.mark.parametrize(
    ("event", "sent"),
    [
        (ServerSentEvent("a\nb\r\nc"), b"data: a\ndata: b\ndata: c\n\n"),
        (ServerSentEvent(""), b"data: \n\n"),
        (ServerSentEvent({"a": "\n"}), b'data: {"a":"\\n"}\n\n'),
        (ServerSentEvent(None, event="ping"), b"event: ping\ndata: null\n\n"),
    ],
)
def test_no_data_ends_an_event_before_its_end(event: ServerSentEvent[Any], sent: bytes) -> None:
    assert written(event) == sent


@pytest.mark.parametrize("words", [{"id": "a\nb"}, {"event": "a\rb"}, {"id": "\0"}, {"retry": -1}])
def test_an_event_that_would_be_several_is_refused(words: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        ServerSentEvent("", **words)


def test_a_stream_has_no_transaction_and_says_what_it_yields(declared: Declarations) -> None:
    async def writes(tx: Transaction) -> AsyncIterator[bytes]:
        yield b""

    async def bare():
        yield b""

    def blocking() -> Any:
        yield b""

    for function in (writes, bare, blocking):
        with pytest.raises(ConfigError, match=r"transaction|annotate|async def"):
            get(declared, f"/{function.__name__}")(function)
