"""Answers that are taken in pieces."""

import asyncio
from collections.abc import AsyncIterator
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus.deadline import deadline
from isthmus.errors import ConfigError, TimedOutError
from isthmus.resilience import (
    Bulkhead,
    BulkheadFullError,
    Cache,
    Hedge,
    Policy,
    Retry,
    Timeout,
)
from isthmus.services.client import (
    Answer,
    AnswerTooLargeError,
    Client,
    ConnectionBrokenError,
    FailedError,
    ReadTimedOutError,
    Reply,
    ServerEvent,
)
from isthmus.services.client.transport import headers_of

from .conftest import Asked, Upstream, Wire, answers  # noqa: TID252

NOTHING = Policy()
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"


@pytest.fixture
async def client(upstream: Upstream) -> AsyncIterator[Client]:
    async with Client("p", upstream.url, policy=NOTHING, limit=1000) as made:
        yield made


async def test_pieces_come_as_they_are_sent(upstream: Upstream, client: Client) -> None:
    went_on = asyncio.Event()

    async def piecewise(wire: Wire, _: Asked) -> None:
        await wire.send(CHUNKED, b"3\r\none\r\n")
        await went_on.wait()
        await wire.send(b"3\r\ntwo\r\n0\r\n\r\n")

    upstream.does(piecewise, answers())
    got = []
    async with client.stream("GET", "/x") as answer:
        assert (answer.status, answer.headers["transfer-encoding"]) == (200, "chunked")
        async for chunk in answer.chunks():
            got.append(chunk)
            went_on.set()
    assert got == [b"one", b"two"]
    await client.get("/x")
    assert upstream.connections == 1


async def test_a_stream_larger_than_the_limit_is_no_trouble_unless_read_at_once(
    upstream: Upstream, client: Client
) -> None:
    upstream.does(answers(b"x" * 500_000))
    async with client.stream("GET", "/x") as answer:
        assert sum([len(chunk) async for chunk in answer.chunks()]) == 500_000
    async with client.stream("GET", "/x") as answer:
        with pytest.raises(AnswerTooLargeError):
            await answer.read()
    upstream.does(answers(b"x" * 999))
    async with client.stream("GET", "/x") as answer:
        assert await answer.read() == b"x" * 999


async def test_a_stream_that_is_left_early_closes_its_connection(
    upstream: Upstream, client: Client
) -> None:
    gone = asyncio.Event()

    async def endless(wire: Wire, _: Asked) -> None:
        await wire.send(CHUNKED, b"1\r\nx\r\n")
        await wire.gone()
        gone.set()

    upstream.does(endless)
    async with client.stream("GET", "/x") as answer:
        async for _ in answer.chunks():
            break
    async with asyncio.timeout(5):
        await gone.wait()


async def test_a_stream_that_drips_too_slowly_is_given_up(
    upstream: Upstream, client: Client
) -> None:
    async def pausing(wire: Wire, _: Asked) -> None:
        await wire.send(CHUNKED, b"1\r\nx\r\n")
        await wire.gone()

    upstream.does(pausing)
    with pytest.raises(ReadTimedOutError, match=r"GET /x: nothing more .* within 0.02 s") as caught:
        async with client.stream("GET", "/x", wait=0.02) as answer:
            assert [chunk async for chunk in answer.chunks()]
    assert isinstance(caught.value, TimedOutError)
    with deadline(0.02), pytest.raises(ReadTimedOutError):
        async with client.stream("GET", "/x") as answer:
            assert [chunk async for chunk in answer.chunks()]


async def test_a_stream_that_breaks_says_so(upstream: Upstream, client: Client) -> None:
    async def breaking(wire: Wire, _: Asked) -> None:
        await wire.send(CHUNKED, b"1\r\nx\r\n")
        wire.writer.close()

    upstream.does(breaking)
    async with client.stream("GET", "/x") as answer:
        chunks = answer.chunks()
        assert await anext(chunks) == b"x"
        with pytest.raises(ConnectionBrokenError):
            await anext(chunks)


async def test_an_error_status_is_raised_before_the_stream(
    upstream: Upstream, client: Client
) -> None:
    upstream.does(answers({"title": "no"}, 500))
    with pytest.raises(FailedError, match="500"):
        async with client.stream("GET", "/x"):
            pass
    async with client.stream("GET", "/x", allow={500}) as answer:
        assert await answer.read() == b'{"title": "no"}'


async def test_the_policy_guards_until_the_headers_are_there(upstream: Upstream) -> None:
    async def slowly(wire: Wire, _: Asked) -> None:
        await wire.send(CHUNKED, b"1\r\nx\r\n")
        await wire.gone_within(0.1)
        await wire.send(b"1\r\ny\r\n0\r\n\r\n")

    upstream.does(answers(status=503), slowly)
    policy = Policy(Retry(3, delay=0), Bulkhead(1), Timeout(0.05))
    async with (
        Client("p", upstream.url, policy=policy) as client,
        client.stream("GET", "/x") as answer,
    ):
        assert policy.strategies[1].running == 0  # pyright: ignore[reportAttributeAccessIssue]
        assert [chunk async for chunk in answer.chunks()] == [b"x", b"y"]
    assert len(upstream.asked) == 2


@pytest.mark.parametrize("strategy", [Cache(1), Hedge(1)])
async def test_what_keeps_or_races_answers_is_refused_around_streams(
    upstream: Upstream, strategy: Cache | Hedge
) -> None:
    async with Client("p", upstream.url, policy=Policy(strategy)) as client:
        with pytest.raises(ConfigError, match="would"):
            async with client.stream("GET", "/x"):
                pass


async def test_no_more_streams_are_open_than_may_be(upstream: Upstream) -> None:
    async with Client("p", upstream.url, policy=NOTHING, streams=1) as client:
        async with client.stream("GET", "/x"):
            with pytest.raises(BulkheadFullError, match="1 streamed answers are open"):
                async with client.stream("GET", "/y"):
                    pass
        async with client.stream("GET", "/z"):
            pass
    assert [asked.target for asked in upstream.asked] == ["/x", "/z"]


async def test_streams_go_both_ways(upstream: Upstream, client: Client) -> None:
    async def echo(wire: Wire, asked: Asked) -> None:
        await wire.answer(asked.body)

    async def lines() -> AsyncIterator[bytes]:
        yield b"a\n"
        yield b"b\n"

    upstream.does(echo)
    async with client.stream("POST", "/x", lines()) as answer:
        assert [line async for line in answer.lines()] == ["a", "b"]


# -- lines and events, of whatever pieces -----------------------------------------------------


class Pieces:
    def __init__(self, chunks: list[bytes]) -> None:
        self._chunks = chunks

    async def read(self, limit: int) -> bytes:
        return b"".join(self._chunks)

    async def chunks(self) -> AsyncIterator[bytes]:
        for chunk in self._chunks:
            yield chunk

    async def aclose(self) -> None:
        pass


def answer_of(chunks: list[bytes]) -> Answer:
    reply = Reply(200, headers_of({}), Pieces(chunks))
    return Answer(reply, "GET /x", wait=5, limit=1000)


async def lines_of(chunks: list[bytes]) -> list[str]:
    return [line async for line in answer_of(chunks).lines()]


def cut(whole: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(whole) + 1) for place in places), len(whole)]
    return [whole[one:other] for one, other in pairwise(edges)]


@given(
    st.lists(st.text(st.characters(exclude_characters="\r\n", codec="utf-8"))),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.lists(st.integers(0)),
)
def test_lines_are_the_same_wherever_the_pieces_are_cut(
    lines: list[str], end: str, places: list[int]
) -> None:
    whole = "".join(line + end for line in lines).encode()
    assert asyncio.run(lines_of(cut(whole, places))) == lines


async def test_a_last_line_without_an_end_is_a_line() -> None:
    assert await lines_of([b"a\n", b"b"]) == ["a", "b"]
    assert await lines_of([b"a\r"]) == ["a"]
    assert await lines_of([b"\xc3", b"\xa9"]) == ["é"]
    assert await lines_of([b"\xff"]) == ["\N{REPLACEMENT CHARACTER}"]


async def test_a_line_without_end_is_not_kept_for_ever() -> None:
    with pytest.raises(AnswerTooLargeError):
        await lines_of([b"x" * 600_000, b"x" * 600_000])


async def test_server_sent_events_are_read() -> None:
    text = (
        b": a comment\n\n"
        b"event: paid\nid: 7\ndata: one\ndata:two\nretry: 1500\n\n"
        b"data\n\n"
        b"id: 8\n\n"
        b"data: {}\n\n"
        b"data: not finished"
    )
    events = [event async for event in answer_of(cut(text, [13, 40, 41])).events()]
    assert events == [
        ServerEvent(event="paid", id="7", data="one\ntwo", retry=1.5),
        ServerEvent(id="7", data=""),
        ServerEvent(id="8", data="{}"),
    ]
