"""Requests are led up and answers down; all else passes as it is."""

import gzip
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse

from isthmus import App, ConfigError, Problem, Version, Versions

NEW, OLD = {"id": "a", "total": 1250}, {"id": "a", "total": "12.50"}


class OrderV1(msgspec.Struct):
    id: str
    total: str


class Order(msgspec.Struct):
    id: str
    total: int


class TotalInCents:
    """Totals are in cents, not in a decimal string."""

    was = OrderV1

    def upgrade(self, old: dict[str, Any]) -> dict[str, Any]:
        return {**old, "total": round(float(old["total"]) * 100)}

    def downgrade(self, new: dict[str, Any]) -> dict[str, Any]:
        return {**new, "total": f"{new['total'] / 100:.2f}"}


@pytest.fixture
def app() -> App:
    app = App("shop")

    @app.post("/orders", status=201)
    async def take(order: Order) -> Order:
        return order

    @app.get("/orders")
    async def every() -> list[Order]:
        return [Order("a", 1250), Order("b", 1)]

    return app


@pytest.fixture
def versions(app: App) -> Versions:
    table = app.versions("v2", "v1")
    table.change("v2", Order)(TotalInCents)
    return table


async def test_lists_are_led_down_item_by_item(app: App, versions: Versions, serve: Any) -> None:
    async with serve(app.declarations) as s:
        assert (await s.client.get("/v1/orders")).json() == [OLD, {"id": "b", "total": "0.01"}]
        assert (await s.client.get("/v2/orders")).json() == [NEW, {"id": "b", "total": 1}]


async def test_a_request_is_judged_in_its_own_versions_words(
    app: App, versions: Versions, serve: Any
) -> None:
    async with serve(app.declarations) as s:
        refused = await s.client.post("/v1/orders", json={"total": 7})
        assert refused.status == 422
        assert refused.json()["errors"] == [
            {"location": "body", "at": "id", "detail": "missing"},
            {"location": "body", "at": "total", "detail": "Expected `str`, got `int`"},
        ]
        assert refused.headers["api-version"] == "v1"
        malformed = await s.client.post(
            "/v1/orders", data=b"{", headers={"content-type": "application/json"}
        )
        assert malformed.status == 400
        assert (await s.client.post("/v1/orders")).status == 422


async def test_without_the_older_model_what_a_change_misses_is_the_requests_fault(
    app: App, serve: Any
) -> None:
    versions = app.versions("v2", "v1")

    @versions.change("v2", Order)
    class Unchecked:
        def upgrade(self, old: dict[str, Any]) -> dict[str, Any]:
            return {"id": old["number"], "total": int(old["total"])}

    async with serve(app.declarations) as s:
        missing = await s.client.post("/v1/orders", json={"total": 1})
        assert (missing.status, missing.json()["errors"][0]["at"]) == (422, "number")
        odd = await s.client.post("/v1/orders", json={"number": "a", "total": "many"})
        assert odd.status == 422
        fine = await s.client.post("/v1/orders", json={"number": "a", "total": "7"})
        assert (fine.status, fine.json()) == (201, {"id": "a", "total": 7})


async def test_with_the_older_model_a_change_that_fails_is_our_fault(
    app: App, versions: Versions, serve: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async with serve(app.declarations) as s:
        answer = await s.client.post("/v1/orders", json={"id": "a", "total": "many"})
        assert (answer.status, answer.kind) == (500, "application/problem+json")
        assert "total" not in answer.json()["detail"]
    assert "TotalInCents.upgrade (v2, Order) failed" in caplog.text


async def test_an_answer_that_cannot_be_led_down_is_never_sent_as_it_is(
    app: App, serve: Any, caplog: pytest.LogCaptureFixture
) -> None:
    versions = app.versions("v2", "v1")

    @versions.change("v2", Order)
    class Broken:
        def downgrade(self, new: dict[str, Any]) -> dict[str, Any]:
            raise RuntimeError("no way")

    async with serve(app.declarations) as s:
        answer = await s.client.get("/v1/orders")
        assert (answer.status, answer.kind) == (500, "application/problem+json")
        assert "no way" not in answer.body.decode()
        assert answer.headers["api-version"] == "v1"
        assert (await s.client.get("/v2/orders")).status == 200
    assert "no way" in caplog.text


async def test_what_is_no_json_that_went_well_passes_as_it_is(
    app: App, versions: Versions, serve: Any
) -> None:
    async def parts() -> AsyncIterator[bytes]:
        for number in range(3):
            yield f"{number}\n".encode()

    @app.get("/kinds/{kind}")
    async def answer(kind: str) -> Order | Response:
        match kind:
            case "text":
                return PlainTextResponse("12.50")
            case "stream":
                return StreamingResponse(parts(), media_type="application/x-ndjson")
            case "problem":
                raise Problem(404, "no such order")
            case "refused":
                return JSONResponse({"total": 7}, status_code=400)
            case "empty":
                return Response(status_code=200, media_type="application/json")
            case "wrong":
                return Response(b"{", media_type="application/json")
            case _:
                return Response(status_code=204)

    async with serve(app.declarations) as s:

        async def got(kind: str) -> tuple[int, bytes]:
            found = await s.client.get(f"/v1/kinds/{kind}")
            return found.status, found.body

        assert await got("text") == (200, b"12.50")
        assert await got("stream") == (200, b"0\n1\n2\n")
        assert (await got("problem"))[0] == 404
        assert await got("refused") == (400, b'{"total":7}')
        assert await got("empty") == (200, b"")
        assert await got("none") == (204, b"")
        assert (await got("wrong"))[0] == 500


async def test_a_json_answer_in_parts_is_led_down_whole(
    app: App, versions: Versions, serve: Any
) -> None:
    async def parts() -> AsyncIterator[bytes]:
        yield b'{"id": "a", '
        yield b'"total": 1250}'

    @app.get("/parts")
    async def answer() -> Order | Response:
        return StreamingResponse(parts(), media_type="application/json")

    async with serve(app.declarations) as s:
        answer_ = await s.client.get("/v1/parts")
        assert answer_.json() == OLD
        assert answer_.headers["content-length"] == str(len(answer_.body))


async def test_bodies_are_led_up_to_a_limit(app: App, serve: Any) -> None:
    app.versions("v2", "v1", limit=100).change("v2", Order)(TotalInCents)

    @app.get("/many")
    async def many() -> list[Order]:
        return [Order("a", 1)] * 20

    async with serve(app.declarations) as s:
        large = {"id": "a" * 200, "total": "1"}
        assert (await s.client.post("/v1/orders", json=large)).status == 413
        assert (await s.client.get("/v1/many")).status == 500
        assert (await s.client.get("/v2/many")).status == 200


async def test_a_compressed_body_of_an_older_version_is_refused(
    app: App, versions: Versions, serve: Any
) -> None:
    async with serve(app.declarations) as s:
        sent = {"content-encoding": "gzip", "content-type": "application/json"}
        answer = await s.client.post("/v1/orders", data=gzip.compress(b"{}"), headers=sent)
        assert answer.status == 415


async def test_nothing_behind_compresses_or_cuts_what_is_to_be_led_down(
    app: App, versions: Versions, serve: Any
) -> None:
    @app.get("/asked")
    async def asked(request: Request) -> Order | Response:
        names = sorted({"accept-encoding", "range"} & set(request.headers.keys()))
        return JSONResponse({"id": ",".join(names), "total": 0})

    async with serve(app.declarations) as s:
        sent = {"accept-encoding": "gzip", "range": "bytes=0-5"}
        assert (await s.client.get("/v1/asked", headers=sent)).json()["id"] == ""
        assert (await s.client.get("/v2/asked", headers=sent)).json()["id"] != ""


async def test_head_tells_no_length_that_is_another_version_s(
    app: App, versions: Versions, serve: Any
) -> None:
    async with serve(app.declarations) as s:
        head = await s.client.head("/v1/orders")
        assert (head.status, head.body, head.headers["api-version"]) == (200, b"", "v1")
        assert "content-length" not in head.headers


async def test_a_tag_is_of_one_version(app: App, versions: Versions, serve: Any) -> None:
    seen = list[tuple[str, str]]()

    @app.get("/tagged")
    async def tagged(request: Request) -> Order | Response:
        given = request.headers
        seen.append((given.get("if-none-match", ""), given.get("if-match", "")))
        if given.get("if-none-match") == '"abc"':
            return Response(status_code=304, headers={"etag": '"abc"'})
        return JSONResponse({"id": "a", "total": 1250}, headers={"etag": '"abc"'})

    async with serve(app.declarations) as s:
        old, new = await s.client.get("/v1/tagged"), await s.client.get("/v2/tagged")
        assert (old.headers["etag"], new.headers["etag"]) == ('"abc;v1"', '"abc"')
        same = await s.client.get("/v1/tagged", headers={"if-none-match": '"abc;v1"'})
        assert (same.status, same.headers["etag"]) == (304, '"abc;v1"')
        for version, tag in (("v1", '"abc"'), ("v2", '"abc;v1"')):
            other = await s.client.get(f"/{version}/tagged", headers={"if-none-match": tag})
            assert other.status == 200
        await s.client.get("/v1/tagged", headers={"if-match": 'W/"x;v1", "y", *'})
        assert seen[-1][1] == 'W/"x", "y;other", *'


async def test_places_in_an_answer_are_below_its_version(
    app: App, versions: Versions, serve: Any
) -> None:
    @app.post("/places")
    async def made() -> Response:
        links = '</orders?after=a>; rel="next", <https://x.example/>; rel="help"'
        return Response(status_code=201, headers={"location": "/orders/1", "link": links})

    @app.post("/elsewhere")
    async def elsewhere(to: str) -> Response:
        return Response(status_code=303, headers={"location": to})

    async with serve(app.declarations) as s:
        for version in ("v1", "v2"):
            answer = await s.client.post(f"/{version}/places")
            assert answer.headers["location"] == f"/{version}/orders/1"
            assert f'</{version}/orders?after=a>; rel="next", <https://' in answer.headers["link"]
        for to in ("https://x.example/orders", "/docs", "/v1/orders", "//x.example/orders"):
            answer = await s.client.post(f"/v1/elsewhere?to={to}", allow_redirects=False)
            assert answer.headers["location"] == to


async def test_the_newest_version_is_never_parsed(app: App, serve: Any) -> None:
    versions = app.versions("v2", "v1")

    @versions.change("v2", Order)
    class Never:
        def upgrade(self, old: dict[str, Any]) -> dict[str, Any]:
            raise AssertionError

        def downgrade(self, new: dict[str, Any]) -> dict[str, Any]:
            raise AssertionError

    @app.post("/raw")
    async def raw(request: Request, order: Order) -> Response:
        return Response(await request.body())

    async with serve(app.declarations) as s:
        body = b'{ "id" :"a",  "total":1 }'
        sent = {"content-type": "application/json"}
        assert (await s.client.post("/v2/raw", data=body, headers=sent)).body == body


async def test_a_handler_may_ask_for_the_version(app: App, versions: Versions, serve: Any) -> None:
    mails = list[str]()

    @app.post("/refunds")
    async def refund(version: Version) -> dict[str, str]:
        if version < "v2":
            mails.append(f"a mail, as {version} promised")
        assert versions.current() == version
        return {"version": version.name}

    @app.post("/blocking")
    def blocking(version: Version) -> dict[str, str]:
        return {"version": versions.current().name}

    async with serve(app.declarations) as s:
        for version in ("v1", "v2"):
            for path in ("refunds", "blocking"):
                answer = await s.client.post(f"/{version}/{path}")
                assert answer.json() == {"version": version}
    assert mails == ["a mail, as v1 promised"]
    assert versions.current() == "v2"


async def test_an_operation_may_change_without_its_types(app: App, serve: Any) -> None:
    versions = app.versions("v2", "v1")

    @app.get("/orders/{id}")
    async def show(id: str) -> Order:
        return Order(id, 1250)

    @versions.change("v2", path="GET /orders/{id}")
    class NoEnvelope:
        """An order comes without an envelope."""

        def downgrade(self, new: dict[str, Any]) -> dict[str, Any]:
            return {"data": new}

    @versions.change("v2", Order)
    class Cents:
        def downgrade(self, new: dict[str, Any]) -> dict[str, Any]:
            return {**new, "total": str(new["total"])}

    async with serve(app.declarations) as s:
        answer = await s.client.get("/v1/orders/7")
        assert answer.json() == {"data": {"id": "7", "total": "1250"}}
        assert (await s.client.get("/v2/orders/7")).json() == {"id": "7", "total": 1250}


async def test_a_change_of_an_operation_that_there_is_not_is_refused(app: App, serve: Any) -> None:
    versions = app.versions("v2", "v1")

    @versions.change("v2", path="GET /nowhere")
    class Lost:
        """Nothing."""

    with pytest.raises(ConfigError, match=r"GET /nowhere, which is neither a route \(POST /orders"):
        async with serve(app.declarations):
            pass
