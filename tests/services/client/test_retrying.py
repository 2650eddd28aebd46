"""What is sent again, and what is not."""

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest

from isthmus.clock import MonotonicClock
from isthmus.errors import ConfigError
from isthmus.resilience import CallRetried, Policy, RetriesSpentError, Retry, signals
from isthmus.services.client import (
    BusyError,
    Client,
    ConnectionBrokenError,
    ConnectRefusedError,
    FailedError,
    RefusedError,
)

from .conftest import Asked, Upstream, Wire, answers, closes  # noqa: TID252

AGAIN = Policy(Retry(3, delay=0))
NOTHING = Policy()


@pytest.fixture
async def client(upstream: Upstream) -> AsyncIterator[Client]:
    async with Client("p", upstream.url, policy=AGAIN) as made:
        yield made


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "PUT", "DELETE"])
async def test_an_idempotent_method_is_tried_again(
    upstream: Upstream, client: Client, method: str
) -> None:
    upstream.does(answers(status=503), closes, answers())
    assert (await client.request(method, "/x")).status == 200
    assert len(upstream.asked) == 3


@pytest.mark.parametrize("method", ["POST", "PATCH"])
async def test_what_may_have_run_is_not_sent_again_without_a_key(
    upstream: Upstream, client: Client, method: str
) -> None:
    upstream.does(answers(status=503), answers())
    with pytest.raises(FailedError):
        await client.request(method, "/x", {"a": 1})
    assert len(upstream.asked) == 1


async def test_with_a_key_it_is_sent_again_with_the_same(
    upstream: Upstream, client: Client
) -> None:
    upstream.does(answers(status=503), closes, answers())
    await client.post("/x", {"a": 1}, idempotency_key=True)
    keys = {asked.headers["idempotency-key"] for asked in upstream.asked}
    assert len(upstream.asked) == 3
    assert len(keys) == 1
    assert {asked.body for asked in upstream.asked} == {b'{"a":1}'}
    assert len({asked.headers["x-request-id"] for asked in upstream.asked}) == 1


async def test_what_was_not_carried_out_is_sent_again_without_a_key(
    upstream: Upstream, client: Client
) -> None:
    upstream.does(answers(status=429), answers(status=425), answers())
    assert (await client.post("/x", {"a": 1})).status == 200


async def test_what_never_ran_is_sent_again_without_a_key() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    retried: list[CallRetried] = []
    leave = signals.listen(CallRetried, retried.append)
    async with Client("p", f"http://127.0.0.1:{port}", policy=AGAIN) as client:
        with pytest.raises(ConnectRefusedError):
            await client.post("/x", {"a": 1})
    leave()
    assert [(one.call, one.error) for one in retried] == [("POST", "ConnectRefusedError")] * 2


async def test_a_last_failure_is_told_from_its_error(upstream: Upstream, client: Client) -> None:
    upstream.does(answers({"why": "no"}, 500))
    with pytest.raises(RetriesSpentError) as caught:
        await client.get("/x")
    assert isinstance(caught.value.__cause__, FailedError)
    assert len(upstream.asked) == 3


async def test_retry_after_is_heeded(upstream: Upstream) -> None:
    slept: list[float] = []

    class Quick(MonotonicClock):
        async def sleep(self, seconds: float) -> None:
            slept.append(seconds)

    upstream.does(answers(status=503, headers={"Retry-After": "7"}), answers())
    policy = Policy(Retry(3, delay=0), clock=Quick())
    async with Client("p", upstream.url, policy=policy) as client:
        await client.get("/x")
    assert slept == [7.0]


# -- bodies that can be read once -------------------------------------------------------------


async def pieces() -> AsyncIterator[bytes]:
    yield b"one "
    yield b""
    yield b"two"


async def test_a_stream_is_sent_as_it_comes(upstream: Upstream, client: Client) -> None:
    await client.post("/x", pieces())
    assert upstream.asked[0].body == b"one two"
    assert upstream.asked[0].headers["transfer-encoding"] == "chunked"
    await client.put("/x", pieces(), headers={"Content-Length": "7"})
    assert upstream.asked[1].body == b"one two"
    assert "transfer-encoding" not in upstream.asked[1].headers
    assert upstream.connections == 1


@pytest.mark.parametrize("status", [429, 503])
async def test_a_stream_that_was_begun_is_not_sent_again_and_the_error_says_why(
    upstream: Upstream, client: Client, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    upstream.does(answers(status=status), answers())
    with pytest.raises((BusyError, FailedError)) as caught:
        await client.put("/x", pieces(), idempotency_key="k")
    [note] = caught.value.__notes__
    assert note == (
        "PUT /x is not retried: its body is a stream that was begun, and cannot be sent again"
    )
    assert note in caplog.text
    assert len(upstream.asked) == 1


async def test_a_stream_that_was_not_begun_is_sent_later() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    upstream = Upstream(script=[answers()])
    began: list[asyncio.Server] = []

    class Starting(MonotonicClock):
        async def sleep(self, seconds: float) -> None:
            began.append(await asyncio.start_server(upstream.connected, "127.0.0.1", port))

    policy = Policy(Retry(3, delay=0), clock=Starting())
    async with Client("p", f"http://127.0.0.1:{port}", policy=policy) as client:
        await client.post("/x", pieces())
    assert upstream.asked[0].body == b"one two"
    began[0].close()
    await upstream.end()


async def test_an_error_of_the_stream_itself_is_raised_and_the_request_given_up(
    upstream: Upstream, client: Client
) -> None:
    async def failing() -> AsyncIterator[bytes]:
        yield b"one"
        raise LookupError("the file is gone")

    with pytest.raises(LookupError, match="the file is gone"):
        await client.post("/x", failing())
    assert (await client.get("/x")).status == 200
    assert upstream.connections == 2


async def test_an_answer_before_the_end_of_the_stream_is_taken(
    upstream: Upstream, client: Client
) -> None:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 65536

    async def refuses(wire: Wire, _: Asked) -> None:
        await wire.answer({"title": "too large"}, 413)
        await wire.gone()

    upstream.reads_body = False
    upstream.does(refuses)
    with pytest.raises(RefusedError, match="answered 413"):
        await client.post("/x", endless())
    upstream.does(answers())
    assert (await client.get("/x")).status == 200
    assert upstream.connections == 2


# -- connections that were closed meanwhile ---------------------------------------------------


async def test_an_idempotent_call_on_a_stale_connection_is_sent_again_at_once(
    upstream: Upstream,
) -> None:
    upstream.does(answers(), closes, answers({"a": 1}))
    async with Client("p", upstream.url, policy=NOTHING) as client:
        await client.get("/x")
        assert (await client.put("/x", {"b": 2})).json() == {"a": 1}
        assert upstream.connections == 2
        assert upstream.asked[2].json() == {"b": 2}


async def test_with_a_key_a_post_on_a_stale_connection_is_too(upstream: Upstream) -> None:
    upstream.does(answers(), closes, answers())
    async with Client("p", upstream.url, policy=NOTHING) as client:
        await client.get("/x")
        await client.post("/x", idempotency_key="k")
    assert len(upstream.asked) == 3


async def test_a_post_without_a_key_on_a_stale_connection_is_not(upstream: Upstream) -> None:
    upstream.does(answers(), closes, answers())
    async with Client("p", upstream.url, policy=NOTHING) as client:
        await client.get("/x")
        with pytest.raises(ConnectionBrokenError):
            await client.post("/x")
    assert len(upstream.asked) == 2


async def test_a_new_connection_that_breaks_is_not_stale(upstream: Upstream) -> None:
    async with Client("p", upstream.does(closes).url, policy=NOTHING) as client:
        with pytest.raises(ConnectionBrokenError):
            await client.get("/x")
    assert len(upstream.asked) == 1


async def test_a_server_that_says_it_closes_is_not_met_again(upstream: Upstream) -> None:
    async def parting(wire: Wire, _: Asked) -> None:
        await wire.answer(headers={"Connection": "close"})
        wire.writer.close()

    async with Client("p", upstream.does(parting).url, policy=NOTHING) as client:
        for _ in range(3):
            await client.post("/x")
    assert upstream.connections == 3


async def test_a_wrong_call_is_not_a_matter_for_the_policy(
    upstream: Upstream, client: Client
) -> None:
    with pytest.raises(ConfigError, match="climbs out"):
        await client.get("/../admin")
    assert upstream.asked == []
