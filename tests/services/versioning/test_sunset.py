"""What is said of versions that end, and what happens when they have."""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from isthmus import App, Header, Versions
from isthmus.clock import ManualClock
from isthmus.errors import ConfigError
from isthmus.services.versioning import DeprecatedVersionCalled, Versioned
from isthmus.signals import Signals

LINK = "https://shop.example/migrating"


async def test_a_deprecated_version_says_when_and_where_to_go(app: App, serve: Any) -> None:
    versions = app.versions("v3", "v2", "v1")
    versions.deprecate("v2", since="2026-02-01")
    versions.deprecate("v1", since="2026-01-01", sunset="2999-06-01", link=LINK)
    async with serve(app.declarations) as s:
        answer = await s.client.get("/v1/orders?after=1")
        assert answer.status == 200
        assert answer.headers["deprecation"] == "@1767225600"
        assert parsedate_to_datetime(answer.headers["sunset"]) == datetime(2999, 6, 1, tzinfo=UTC)
        assert answer.headers["sunset"] == "Sat, 01 Jun 2999 00:00:00 GMT"
        assert answer.headers.getall("link") == [
            f'<{LINK}>; rel="deprecation"',
            f'<{LINK}>; rel="sunset"',
            '</v3/orders>; rel="successor-version"',
        ]
        assert answer.headers["api-supported-versions"] == "v3, v2, v1"
        assert answer.headers["api-deprecated-versions"] == "v2, v1"
        assert "deprecation" not in (await s.client.get("/v3/orders")).headers
        errors = await s.client.get("/v1/nowhere")
        assert (errors.status, errors.headers["deprecation"]) == (404, "@1767225600")


async def test_a_version_that_is_gone_is_a_410_with_its_successor(app: App, serve: Any) -> None:
    versions = app.versions("v2", "v1")
    versions.deprecate("v1", since="2020-01-01", sunset="2020-06-01", link=LINK)
    async with serve(app.declarations) as s:
        for method, path in (("get", "/v1/orders"), ("post", "/v1/orders"), ("get", "/v1/x y")):
            answer = await getattr(s.client, method)(path)
            assert (answer.status, answer.kind) == (410, "application/problem+json")
            problem = answer.json()
            assert (problem["sunset"], problem["successor"]) == ("2020-06-01", "v2")
            assert problem["supported"] == ["v2"]
            assert "gone since 2020-06-01; use v2" in problem["detail"]
            assert answer.headers["sunset"] == "Mon, 01 Jun 2020 00:00:00 GMT"
            assert 'rel="successor-version"' in answer.headers.getall("link")[-1]
        fine = await s.client.get("/v2/orders")
        assert (fine.status, fine.headers["api-supported-versions"]) == (200, "v2")
        assert "api-deprecated-versions" not in fine.headers


async def test_the_newest_may_end_too(app: App, serve: Any) -> None:
    app.versions("v1").deprecate("v1", sunset="2020-06-01")
    async with serve(app.declarations) as s:
        answer = await s.client.get("/v1/orders")
        assert (answer.status, answer.json()["successor"]) == (410, None)
        assert answer.headers["deprecation"] == "@0"  # since when, nobody said
        assert "link" not in answer.headers


async def test_a_link_to_the_successor_cannot_be_made_to_lead_elsewhere(
    app: App, serve: Any
) -> None:
    app.versions("v2", "v1").deprecate("v1")
    async with serve(app.declarations) as s:
        answer = await s.client.get('/v1/a">; rel="x"')
        assert answer.headers["link"] == '</v2/a%22%3E;%20rel=%22x%22>; rel="successor-version"'


async def test_without_a_path_per_version_there_is_no_such_link(app: App, serve: Any) -> None:
    app.versions("v2", "v1", by=Header()).deprecate("v1", link=LINK)
    async with serve(app.declarations) as s:
        answer = await s.client.get("/orders", headers={"api-version": "v1"})
        assert answer.headers.getall("link") == [f'<{LINK}>; rel="deprecation"']


def served(versions: Versions, clock: ManualClock, signals: Signals) -> httpx.AsyncClient:
    inner = Starlette(routes=[Route("/orders", lambda _: PlainTextResponse("fine"))])
    layer = Versioned(inner, versions, clock=clock, signals=signals)
    return httpx.AsyncClient(transport=httpx.ASGITransport(layer), base_url="http://shop")


async def test_a_version_is_gone_from_the_second_of_its_sunset_on() -> None:
    clock, signals, seen = ManualClock(1_000_000.0), Signals(), list[DeprecatedVersionCalled]()
    versions = Versions("v2", "v1")
    versions.deprecate("v1", sunset=datetime.fromtimestamp(1_000_060, UTC))
    signals.listen(DeprecatedVersionCalled, seen.append)
    async with served(versions, clock, signals) as client:
        assert (await client.get("/v1/orders")).headers["api-supported-versions"] == "v2, v1"
        await clock.advance(59)
        assert (await client.get("/v1/orders")).status_code == 200
        await clock.advance(1)
        answer = await client.get("/v1/orders")
        assert (answer.status_code, answer.headers["api-supported-versions"]) == (410, "v2")
        assert (await client.get("/v2/orders")).status_code == 200
    assert [(each.version, each.operation, each.gone) for each in seen] == [
        ("v1", "GET /orders", False),
        ("v1", "GET /orders", False),
        ("v1", "GET /orders", True),
    ]
    assert seen[0].user_agent.startswith("python-httpx")


def test_a_dated_version_is_deprecated_since_its_successor_came() -> None:
    versions = Versions("2026-02-10", "2025-11-16")
    versions.deprecate("2025-11-16")
    since = datetime(2026, 2, 10, tzinfo=UTC).timestamp()
    assert versions.deprecations["2025-11-16"].since == since


def test_the_successor_is_the_next_that_stays() -> None:
    versions = Versions("v4", "v3", "v2", "v1")
    versions.deprecate("v2")
    assert [versions.successor(name) for name in versions.names.all] == [None, "v4", "v3", "v3"]


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ({"since": "2027-06-02", "sunset": "2027-06-01"}, "sunset 2027-06-01 is before since"),
        ({"sunset": "soon"}, 'expected a day, as "2027-06-01"'),
        ({"sunset": "2027-06-01T10:00:00"}, "no time zone"),
        ({"since": datetime(2027, 6, 1)}, "no time zone"),  # noqa: DTZ001
        ({"link": "see the wiki"}, "expected a URL"),
        ({"link": "https://x/>; rel=x"}, "expected a URL"),
    ],
)
def test_an_end_that_cannot_be_meant_is_refused(words: dict[str, Any], why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        Versions("v2", "v1").deprecate("v1", **words)


def test_a_version_ends_once() -> None:
    versions = Versions("v2", "v1")
    versions.deprecate("v1")
    with pytest.raises(ConfigError, match="deprecated twice"):
        versions.deprecate("v1")
