"""Where a request says which version it wants."""

from typing import Any

import pytest

from isthmus import App, ConfigError, Header, IsthmusError, MediaType, Uri, Versions
from isthmus.services.versioning.readers import Readers
from isthmus.versions.names import Names

NEW, OLD = {"id": "a", "total": 1250}, {"id": "a", "total": "12.50"}
VENDOR = "application/vnd.shop.{}+json"


async def test_a_path_says_it(app: App, serve: Any, describe: Any) -> None:
    describe(app.versions("v2", "v1"))
    async with serve(app.declarations) as s:
        for version, body in (("v2", NEW), ("v1", OLD)):
            answer = await s.client.post(f"/{version}/orders", json=body)
            assert (answer.status, answer.json()) == (201, body)
            assert answer.headers["api-version"] == version
            assert answer.headers["api-supported-versions"] == "v2, v1"
            assert "vary" not in answer.headers


async def test_a_path_may_have_a_prefix_before_the_version(
    app: App, serve: Any, describe: Any
) -> None:
    describe(app.versions("v2", "v1", by=Uri(prefix="/api")))
    async with serve(app.declarations) as s:
        assert (await s.client.post("/api/v1/orders", json=OLD)).json() == OLD
        assert (await s.client.get("/v1/orders")).status == 404


async def test_a_path_without_a_version_is_a_404_that_lists_them(app: App, serve: Any) -> None:
    app.versions("v2", "v1")
    async with serve(app.declarations) as s:
        for path in ("/orders", "/v9/orders", "/"):
            answer = await s.client.get(path)
            assert (answer.status, answer.kind) == (404, "application/problem+json")
            assert answer.json()["supported"] == ["v2", "v1"]
            assert answer.headers["api-supported-versions"] == "v2, v1"
        assert "/v2/" in (await s.client.get("/orders")).json()["detail"]


async def test_a_default_serves_who_does_not_say(app: App, serve: Any, describe: Any) -> None:
    describe(app.versions("v2", "v1", default="v1"))
    async with serve(app.declarations) as s:
        answer = await s.client.post("/orders", json=OLD)
        assert (answer.status, answer.json()) == (201, OLD)
        assert (await s.client.post("/v2/orders", json=NEW)).json() == NEW


async def test_health_and_excepted_paths_have_no_versions(app: App, serve: Any) -> None:
    app.versions("v2", "v1", except_=["/hooks"])

    @app.post("/hooks/stripe")
    async def hook() -> dict[str, str]:
        return {"it": "came"}

    async with serve(app.declarations) as s:
        for answer in (await s.client.get("/healthz"), await s.client.post("/hooks/stripe")):
            assert answer.status == 200
            assert "api-version" not in answer.headers
        assert (await s.client.post("/hooksy")).status == 404


async def test_a_header_says_it(app: App, serve: Any, describe: Any) -> None:
    describe(app.versions("v2", "v1", by=Header()))
    async with serve(app.declarations) as s:
        for said, body in (("v2", NEW), ("v1", OLD), ("1", OLD)):
            answer = await s.client.post("/orders", json=body, headers={"api-version": said})
            assert (answer.status, answer.json()) == (201, body)
            assert answer.headers["vary"] == "api-version"
        for headers in ({}, {"api-version": "v7"}):
            refused = await s.client.post("/orders", json=NEW, headers=headers)
            assert (refused.status, refused.json()["supported"]) == (400, ["v2", "v1"])
            assert refused.headers["vary"] == "api-version"


async def test_a_header_may_have_any_name(app: App, serve: Any, describe: Any) -> None:
    describe(app.versions("v2", "v1", by=Header("Shop-Version")))
    async with serve(app.declarations) as s:
        answer = await s.client.post("/orders", json=OLD, headers={"shop-version": "v1"})
        assert answer.json() == OLD


async def test_a_preflight_cannot_say_and_need_not(app: App, serve: Any) -> None:
    app.versions("v2", "v1", by=Header())
    async with serve(app.declarations) as s:
        answer = await s.client.options("/orders")
        assert (answer.status != 400, answer.headers["api-version"]) == (True, "v2")


@pytest.mark.parametrize(
    "kind", [VENDOR.format("v1"), "application/json; version=1", 'application/json;version="v1"']
)
async def test_a_media_type_says_it_for_both_bodies(
    app: App, serve: Any, describe: Any, kind: str
) -> None:
    describe(app.versions("v2", "v1", by=MediaType()))
    async with serve(app.declarations) as s:
        sent = {"accept": kind, "content-type": kind}
        answer = await s.client.post("/orders", json=OLD, headers=sent)
        assert (answer.status, answer.json()) == (201, OLD)
        assert answer.kind == kind.partition(";")[0]
        assert answer.headers["vary"] == "accept"
        only_sent = await s.client.post("/orders", json=OLD, headers={"content-type": kind})
        assert (only_sent.json(), only_sent.kind) == (OLD, "application/json")


async def test_the_answer_is_called_what_was_asked_for_in_the_newest_version_too(
    app: App, serve: Any
) -> None:
    app.versions("v2", "v1", by=MediaType("shop"))
    async with serve(app.declarations) as s:
        answer = await s.client.get("/orders", headers={"accept": VENDOR.format("v2")})
        assert (answer.status, answer.kind) == (200, VENDOR.format("v2"))


async def test_the_version_that_is_liked_best_is_given(app: App, serve: Any, describe: Any) -> None:
    describe(app.versions("v2", "v1", by=MediaType()))
    async with serve(app.declarations) as s:

        async def version(accept: str) -> str:
            return (await s.client.get("/orders", headers={"accept": accept})).headers[
                "api-version"
            ]

        one, two, nine = (VENDOR.format(each) for each in ("v1", "v2", "v9"))
        assert await version(f"{two};q=0.5, {one}") == "v1"
        assert await version(f"{nine}, {two};q=0.5, {one};q=0.2") == "v2"
        assert await version(f"text/html, {one};q=0.1") == "v1"
        assert await version(f"{two};q=0, {one};q=0.1") == "v1"


async def test_an_unknown_version_in_a_media_type_is_a_406_or_a_415(app: App, serve: Any) -> None:
    app.versions("v2", "v1", by=MediaType(), default="v2")
    async with serve(app.declarations) as s:
        kind = VENDOR.format("v9")
        answer = await s.client.get("/orders", headers={"accept": kind})
        assert (answer.status, answer.json()["supported"]) == (406, ["v2", "v1"])
        answer = await s.client.post("/orders", data=b"{}", headers={"content-type": kind})
        assert (answer.status, answer.json()["supported"]) == (415, ["v2", "v1"])
        answer = await s.client.get("/orders", headers={"accept": f"{kind}, */*;q=0.1"})
        assert (answer.status, answer.headers["api-version"]) == (200, "v2")


async def test_other_media_types_say_nothing_of_versions(app: App, serve: Any) -> None:
    app.versions("v2", "v1", by=MediaType("shop"), default="v2")
    async with serve(app.declarations) as s:
        for kind in ("application/vnd.api+json", "application/vnd.other.v1+json", "*/*", "x"):
            answer = await s.client.get("/orders", headers={"accept": kind})
            assert (answer.status, answer.headers["api-version"]) == (200, "v2")


async def test_places_may_be_joined_and_must_agree(app: App, serve: Any, describe: Any) -> None:
    describe(app.versions("v2", "v1", by=Uri() | Header() | MediaType()))
    async with serve(app.declarations) as s:
        assert (await s.client.post("/v1/orders", json=OLD)).json() == OLD
        for headers in ({"api-version": "v1"}, {"accept": VENDOR.format("v1")}):
            answer = await s.client.post("/orders", json=OLD, headers=headers)
            assert answer.json() == OLD
            assert (await s.client.post("/v1/orders", json=OLD, headers=headers)).status == 201
            both = await s.client.post("/v2/orders", json=OLD, headers=headers)
            assert both.status == 400
            assert "asks for v2 in its path and v1 in" in both.json()["detail"]
        answer = await s.client.get("/v1/orders")
        assert "api-version, accept" in answer.headers.getall("vary")


def test_any_order_of_places_can_be_written() -> None:
    names = Names(["v2", "v1"])
    for by in (
        Header() | Uri(),
        Header("x") | (MediaType() | Uri()),
        Uri() | (Header() | Uri(prefix="/a")),
    ):
        assert len(Readers(by, names, default=None).all) >= 2


async def test_dates_are_versions_too(app: App, serve: Any) -> None:
    app.versions("2026-02-10", "2025-11-16", by=Header() | Uri())
    async with serve(app.declarations) as s:

        async def version(said: str) -> Any:
            answer = await s.client.get("/orders", headers={"api-version": said})
            return answer.headers.get("api-version", answer.status)

        assert await version("2026-02-10") == "2026-02-10"
        assert await version("2026-02-09") == "2025-11-16"
        assert await version("2030-01-01") == "2026-02-10"
        assert await version("2025-01-01") == 400
        answer = await s.client.get("/2026-01-01/orders")
        assert (answer.status, answer.headers["api-version"]) == (200, "2025-11-16")
        assert (await s.client.get("/2020-01-01/orders")).status == 404


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"by": Uri() | Uri()}, "twice"),
        ({"by": "uri"}, "expected Uri"),
        ({"by": Header("a b")}, "no name of a header"),
        ({"default": "v9"}, "there are v2, v1"),
    ],
)
def test_options_that_cannot_be_meant_are_refused(
    app: App, options: dict[str, Any], why: str
) -> None:
    with pytest.raises(IsthmusError, match=why):
        app.versions("v2", "v1", **options)


def test_a_prefix_that_is_none_is_refused() -> None:
    for prefix in ("api", "/api/", "/{x}"):
        with pytest.raises(ConfigError, match="expected as '/api'"):
            Uri(prefix=prefix)


def test_an_app_has_one_table(app: App) -> None:
    app.versions(Versions("v2", "v1"))
    with pytest.raises(ConfigError, match="declared twice"):
        app.versions("v3")
    [record] = [each for each in app.describe() if each.kind == "versions"]
    assert str(record.table) == "v2, v1"  # pyright: ignore[reportAttributeAccessIssue]
