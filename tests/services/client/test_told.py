"""What clients tell, and what the model says of them."""

import logging
from collections.abc import AsyncIterator

import pytest

from isthmus import App
from isthmus.errors import ConfigError
from isthmus.resilience import CircuitOpenError, Policy, Retry, Timeout, signals
from isthmus.services.client import (
    CallMade,
    Client,
    DeclaredClient,
    FailedError,
    UpstreamDeprecated,
)
from isthmus.testing.http import FakeTransport

from .conftest import Upstream, answers, closes, stalls  # noqa: TID252

NOTHING = Policy()


@pytest.fixture
async def client(upstream: Upstream) -> AsyncIterator[Client]:
    async with Client("pay", upstream.url, policy=Policy(Retry(3, delay=0))) as made:
        yield made


async def test_each_attempt_is_told_with_its_status_error_and_time(
    upstream: Upstream, client: Client
) -> None:
    heard: list[CallMade] = []
    leave = signals.listen(CallMade, heard.append)
    upstream.does(closes, answers(status=503), answers(status=201))
    await client.get("/x/{id}", path_params={"id": "secret"}, params={"token": "secret"})
    async with client.stream("GET", "/y"):
        pass
    leave()
    await client.get("/z")
    assert [(one.client, one.operation, one.status, one.error) for one in heard] == [
        ("pay", "GET /x/{id}", 0, "ConnectionBrokenError"),
        ("pay", "GET /x/{id}", 503, "FailedError"),
        ("pay", "GET /x/{id}", 201, ""),
        ("pay", "GET /y", 201, ""),
    ]
    assert all(0 < one.took < 30 for one in heard)
    assert "secret" not in repr(heard)


async def test_a_call_that_is_cut_off_is_told_too(upstream: Upstream) -> None:
    heard: list[CallMade] = []
    leave = signals.listen(CallMade, heard.append)
    async with Client("pay", upstream.does(stalls).url, policy=Policy(Timeout(0.02))) as client:
        with pytest.raises(Exception, match="did not answer"):
            await client.get("/x")
        with pytest.raises(Exception, match="did not answer"):
            async with client.stream("GET", "/x"):
                pass
    leave()
    assert [one.error for one in heard] == ["CancelledError"] * 2


async def test_an_announced_end_is_told_once_a_day(
    upstream: Upstream, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    heard: list[UpstreamDeprecated] = []
    leave = signals.listen(UpstreamDeprecated, heard.append)
    notice = {
        "Deprecation": "@1688169599",
        "Sunset": "Sun, 30 Jun 2024 23:59:59 GMT",
        "Link": '</v2>; rel="successor-version", <https://pay.example/why>; rel="deprecation"',
    }
    upstream.does(answers(headers=notice))
    for _ in range(3):
        await client.get("/x")
    await client.get("/y")
    leave()
    assert heard == [
        UpstreamDeprecated(
            client="pay",
            operation=operation,
            deprecated_at=1688169599.0,
            sunset_at=1719791999.0,
            link="https://pay.example/why",
        )
        for operation in ("GET /x", "GET /y")
    ]
    told = [record for record in caplog.records if record.name == "isthmus.client"]
    assert told[0].getMessage() == (
        "pay: GET /x is deprecated by the other side, as of 2023-06-30; it may be gone from "
        "2024-06-30 on: https://pay.example/why"
    )
    assert [one.levelno for one in told] == [logging.WARNING] * 2


@pytest.mark.parametrize("said", ["@x", "@99999999999999999", "true", "Sun, 99 Jun 2024"])
async def test_a_notice_that_cannot_be_read_is_told_without_a_date(
    upstream: Upstream, client: Client, said: str
) -> None:
    heard: list[UpstreamDeprecated] = []
    leave = signals.listen(UpstreamDeprecated, heard.append)
    upstream.does(answers(headers={"Deprecation": said}))
    await client.get("/x")
    leave()
    [fact] = heard
    assert (fact.deprecated_at, fact.sunset_at, fact.link) == (None, None, "")


# -- in an App --------------------------------------------------------------------------------


async def test_a_client_of_an_app_is_open_while_the_app_is(upstream: Upstream) -> None:
    app = App("shop", engine="memory://")
    payments = app.client("payments", upstream.url, policy=NOTHING)
    heard: list[CallMade] = []
    app.signals.listen(CallMade, heard.append)
    with pytest.raises(ConfigError, match="and run the App"):
        await payments.get("/x")
    for _ in range(2):
        async with app:
            assert (await payments.get("/x")).status == 200
        assert not payments.is_open
    assert [one.operation for one in heard] == ["GET /x"] * 2


async def test_signals_of_its_own_are_told_instead(upstream: Upstream) -> None:
    app, other = App("shop", engine="memory://"), App("other", engine="memory://")
    payments = app.client("payments", upstream.url, policy=NOTHING, signals=other.signals)
    heard: list[CallMade] = []
    other.signals.listen(CallMade, heard.append)
    async with app:
        await payments.get("/x")
    assert len(heard) == 1


async def test_a_client_is_closed_though_the_app_fails(upstream: Upstream) -> None:
    app = App("shop", engine="memory://")
    payments = app.client("payments", upstream.url, policy=NOTHING)

    async def failing() -> None:
        async with app:
            await payments.get("/x")
            raise LookupError("no such order")

    with pytest.raises(LookupError):
        await failing()
    assert not payments.is_open


def test_the_model_knows_it_with_its_policy() -> None:
    app = App("shop", engine="memory://")
    app.client("payments", "https://pay.example/v1/", policy=Policy(Retry(2), Timeout(3)))
    assert app.describe().of(DeclaredClient) == [
        DeclaredClient(
            name="payments",
            base_url="https://pay.example/v1",
            policy=("Retry(2)", "Timeout(3)"),
        )
    ]
    with pytest.raises(ConfigError, match="client 'payments' is declared twice"):
        app.client("payments", "https://other.example")


async def test_a_fake_takes_the_place_of_the_other_side_and_leaves_it(upstream: Upstream) -> None:
    app = App("shop", engine="memory://")
    payments = app.client("payments-faked", upstream.url)
    fake = FakeTransport()
    fake.on("GET", "/x").answer(status=501)
    async with app:
        with payments.using(fake):
            for _ in range(20):
                with pytest.raises((FailedError, CircuitOpenError)):
                    await payments.get("/x")
        assert "is closed" in payments.policy.describe()
        assert (await payments.get("/x")).status == 200
    with payments.using(fake), pytest.raises(FailedError):
        await payments.get("/x")
    assert len(upstream.asked) == 1


async def test_an_app_opens_and_closes_while_a_fake_stands_in(upstream: Upstream) -> None:
    app = App("shop", engine="memory://")
    payments = app.client("payments", upstream.url, policy=NOTHING)
    inner, outer = FakeTransport(), FakeTransport()
    for number, fake in enumerate((inner, outer)):
        fake.on("GET", "/x").answer(number)
    with payments.using(outer):
        async with app:
            assert await payments.get("/x", result=int) == 1
            with payments.using(inner):
                assert await payments.get("/x", result=int) == 0
            assert await payments.get("/x", result=int) == 1
        assert await payments.get("/x", result=int) == 1
    assert not payments.is_open
    async with app:
        with payments.using(inner):
            pass
        assert (await payments.get("/x")).status == 200


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ({"limit": 0}, "limit=0"),
        ({"streams": 0}, "streams=0"),
        ({"wait": 0}, "wait=0"),
        ({"keep_alive": -1}, "keep_alive=-1"),
        ({"key_header": "a b"}, "no name of a header"),
    ],
)
def test_an_option_out_of_range_is_refused_where_it_is_written(words: dict, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        Client("pay", "http://x", policy=NOTHING, **words)
    with pytest.raises(ConfigError, match="give the upstream a name"):
        Client("", "http://x")
