"""Calls of the real other side, recorded once and replayed."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from isthmus.errors import ConfigError
from isthmus.resilience import Policy
from isthmus.services.client import Basic, Client, Form, RefusedError
from isthmus.services.client.transport import Outgoing, Reply
from isthmus.testing.http import FakeTransport, Recorder, UnrecordedCallError


class Real:
    """What counts as the real other side here: it answers each request with its number."""

    def __init__(self) -> None:
        self.fake = FakeTransport()
        self.closed = False

    async def send(self, request: Outgoing) -> Reply:
        return await self.fake.send(request)

    async def aclose(self) -> None:
        self.closed = True


@pytest.fixture
def real() -> Real:
    real = Real()
    numbers = iter(range(1, 100))
    for method in ("GET", "POST"):
        real.fake.on(method, "/v1/x").by(lambda _: {"n": next(numbers), "secret": "s3cret"})
    return real


@pytest.fixture
def cassette(tmp_path: Path) -> Path:
    return tmp_path / "cassettes/pay.json"


@pytest.fixture
def client() -> Client:
    return Client("pay", "https://pay.example/v1", policy=Policy(), auth=Basic("me", "pass"))


class Number(msgspec.Struct):
    n: int


async def test_what_is_recorded_is_replayed_without_the_other_side(
    real: Real, cassette: Path, client: Client
) -> None:
    for mode, transport in (("record", real), ("replay", None)):
        with client.using(Recorder(cassette, mode=mode, transport=transport)):  # pyright: ignore[reportArgumentType]
            assert await client.post("/x", {"a": 1}, result=Number) == Number(1)
            assert await client.get("/x", params={"p": [1, 2]}, result=Number) == Number(2)
    assert len(real.fake.calls) == 2


async def test_the_order_of_equal_calls_is_kept_and_the_host_is_nothing(
    real: Real, cassette: Path, client: Client
) -> None:
    with client.using(Recorder(cassette, mode="record", transport=real)):
        for _ in range(2):
            await client.get("/x")
    live = Client("pay", "https://live.pay.example/v1", policy=Policy())
    recorder = Recorder(cassette)
    with live.using(recorder):
        assert recorder.unplayed == ["GET /v1/x", "GET /v1/x"]
        assert [await live.get("/x", result=Number) for _ in range(2)] == [Number(1), Number(2)]
        assert recorder.unplayed == []
        with pytest.raises(UnrecordedCallError, match="was recorded 2 times, and came once more"):
            await live.get("/x")


async def test_what_was_not_recorded_says_what_was(
    real: Real, cassette: Path, client: Client
) -> None:
    with client.using(Recorder(cassette, mode="record", transport=real)):
        await client.post("/x", {"a": 1}, params={"p": 1})
    with client.using(Recorder(cassette)):
        with pytest.raises(UnrecordedCallError, match="was not recorded; recorded is POST /v1/x"):
            await client.get("/y")
        with pytest.raises(
            UnrecordedCallError, match=r'another body: b.{"a":1}., and .* b.{"a":2}'
        ):
            await client.post("/x", {"a": 2}, params={"p": 1})
        with pytest.raises(UnrecordedCallError, match=r"another query: {'p': \['1'\]}, .* {}"):
            await client.post("/x", {"a": 1})
        with pytest.raises(UnrecordedCallError, match="another query and body"):
            await client.post("/x", {"a": 2})


async def test_auto_records_what_is_missing(real: Real, cassette: Path, client: Client) -> None:
    for _ in range(2):
        with client.using(Recorder(cassette, mode="auto", transport=real)):
            assert await client.get("/x", result=Number) == Number(1)
    with client.using(Recorder(cassette, mode="auto", transport=real)):
        assert await client.post("/x", result=Number) == Number(2)
    with client.using(Recorder(cassette)):
        assert await client.post("/x", result=Number) == Number(2)
        assert await client.get("/x", result=Number) == Number(1)


async def test_record_forgets_what_was_there(real: Real, cassette: Path, client: Client) -> None:
    for _ in range(2):
        with client.using(Recorder(cassette, mode="record", transport=real)):
            await client.get("/x")
    with client.using(Recorder(cassette)):
        assert await client.get("/x", result=Number) == Number(2)


async def test_no_secret_is_written_and_none_is_compared(
    real: Real, cassette: Path, client: Client
) -> None:
    scrub = ["secret", "card", "X-Signature", "api_token"]
    body = {"card": {"number": "4242"}, "lines": [{"card": "4243", "a": 1}]}
    with client.using(Recorder(cassette, mode="record", transport=real, scrub=scrub)):
        answer = await client.post(
            "/x",
            body,
            headers={"X-Signature": "sig", "Cookie": "c00kie"},
            params={"api_token": "t0k"},
        )
        await client.post("/x", Form(card="4244", a=1))
    assert answer.json()["secret"] == "s3cret"
    text = cassette.read_text()
    hidden = ("4242", "4243", "4244", 'sig"', "c00kie", "t0k", "s3cret", "Basic", "bWU6")
    assert [one for one in hidden if one in text] == []
    with client.using(Recorder(cassette, scrub=scrub)):
        other = {"card": "other", "lines": [{"card": None, "a": 1}]}
        again = await client.post("/x", other, params={"api_token": "other"})
        assert again.json() == {"n": 1, "secret": "***"}
        await client.post("/x", Form(card="other", a=1))


async def test_a_cassette_can_be_read_by_people(real: Real, cassette: Path, client: Client) -> None:
    real.fake.on("GET", "/v1/text").answer("hello", headers={"Set-Cookie": "id=1"})
    real.fake.on("GET", "/v1/bytes").answer(b"\xff\x00", status=404)
    with client.using(Recorder(cassette, mode="record", transport=real)):
        await client.post("/x", {"a": [1]}, idempotency_key="k")
        await client.get("/text")
        await client.get("/bytes", allow={404})
    assert json.loads(cassette.read_text()) == {
        "isthmus_cassette": 1,
        "calls": [
            {
                "request": {
                    "method": "POST",
                    "path": "/v1/x",
                    "headers": {
                        "content-type": "application/json",
                        "idempotency-key": '"k"',
                        "authorization": "***",
                    },
                    "body": {"json": {"a": [1]}},
                },
                "response": {
                    "status": 200,
                    "headers": {"content-type": "application/json"},
                    "body": {"json": {"n": 1, "secret": "s3cret"}},
                },
            },
            {
                "request": {
                    "method": "GET", "path": "/v1/text", "headers": {"authorization": "***"},
                },
                "response": {
                    "status": 200,
                    "headers": {"content-type": "text/plain; charset=utf-8", "set-cookie": "***"},
                    "body": {"text": "hello"},
                },
            },
            {
                "request": {
                    "method": "GET", "path": "/v1/bytes", "headers": {"authorization": "***"},
                },
                "response": {
                    "status": 404,
                    "headers": {"content-type": "application/octet-stream"},
                    "body": {"base64": "/wA="},
                },
            },
        ],
    }  # fmt: skip
    with client.using(Recorder(cassette)):
        await client.post("/x", {"a": [1]})
        assert (await client.get("/text")).text == "hello"
        with pytest.raises(RefusedError) as caught:
            await client.get("/bytes")
    assert caught.value.body == b"\xff\x00"


async def test_a_stream_is_recorded_and_replayed_whole(
    real: Real, cassette: Path, client: Client
) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"one "
        yield b"two"

    for mode, transport in (("record", real), ("replay", None)):
        with client.using(Recorder(cassette, mode=mode, transport=transport)):  # pyright: ignore[reportArgumentType]
            async with client.stream("POST", "/x", pieces()) as answer:
                assert json.loads(await answer.read())["n"] == 1


async def test_it_closes_the_way_to_the_other_side(real: Real, cassette: Path) -> None:
    recorder = Recorder(cassette, mode="auto", transport=real)
    async with Client("pay", "http://x", policy=Policy(), transport=recorder):
        pass
    assert real.closed


def test_what_cannot_be_a_cassette_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="record it once, by Recorder"):
        Recorder(tmp_path / "none.json")
    with pytest.raises(ConfigError, match="mode='play'"):
        Recorder(tmp_path / "none.json", mode="play")  # pyright: ignore[reportArgumentType]
    (tmp_path / "bad.json").write_text("{}")
    with pytest.raises(ConfigError, match=r"bad\.json is no cassette"):
        Recorder(tmp_path / "bad.json")
    (tmp_path / "new.json").write_text('{"isthmus_cassette": 2, "calls": []}')
    with pytest.raises(ConfigError, match="of form 2"):
        Recorder(tmp_path / "new.json")
