"""Where an App shows its documents, over a real server."""

import re
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator
from starlette.requests import Request
from starlette.types import Scope

from isthmus.clock import SystemClock
from isthmus.handling.declarations import Declarations
from isthmus.handling.running.opening import opened
from isthmus.services import route
from isthmus.services.documents import about
from isthmus.services.documents.pages import Documents, Pages
from isthmus.services.documents.viewer import ASSETS, RELEASE, asset, page, policy
from isthmus.services.serving.health import Health
from isthmus.services.serving.served import served
from isthmus.settings import Settings
from isthmus.signals import Signals


def declare(declared: Declarations) -> None:
    @route(declared, "GET", "/orders/{id}")
    async def show(id: str) -> str:
        """Show it."""
        return id


async def test_the_document_is_served(serve: Any, declared: Declarations) -> None:
    declare(declared)
    async with serve(declared) as s:
        answer = await s.client.get("/openapi.json")
    assert (answer.status, answer.kind) == (200, "application/json")
    assert answer.headers["Cache-Control"] == "no-cache"
    document = answer.json()
    assert document["info"]["title"] == "shop"
    assert list(document["paths"]) == ["/orders/{id}"]
    assert list(OpenAPIV31SpecValidator(document).iter_errors()) == []


async def test_the_page_and_all_that_it_names_are_served(
    serve: Any, declared: Declarations
) -> None:
    declare(declared)
    async with serve(declared) as s:
        answer = await s.client.get("/docs")
        assert (answer.status, answer.kind) == (200, "text/html")
        links = re.findall(r'(?:src|href|data-url)="([^"]+)"', answer.body.decode())
        assert len(links) == len(ASSETS) + 3  # an icon that is none, and the document twice
        for link in links:
            assert link.startswith("data:") or (await s.client.get(f"/{link}")).status == 200


async def test_the_page_lets_nothing_in_from_elsewhere(serve: Any, declared: Declarations) -> None:
    declare(declared)
    async with serve(declared) as s:
        answer = await s.client.get("/docs")
    guard = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in guard
    assert "script-src 'self';" in guard
    assert "connect-src 'self';" in guard
    assert "http" not in guard
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_no_part_of_the_page_names_another_place() -> None:
    ours = [page("shop"), asset("page.js").decode(), asset("page.css").decode()]
    for text in [*ours, asset("swagger-ui.css").decode()]:
        names = set(re.findall(r"(?:https?:)?//[\w.-]+\.[a-z]+", text))
        assert names <= {"http://www.w3.org"}  # a name space, which nobody asks
    imports = re.findall(r"@import|url\((?![\"']?(?:data:|#))", asset("swagger-ui.css").decode())
    assert imports == []
    viewer = asset("swagger-ui-bundle.js").decode()
    assert "fonts.googleapis" not in viewer
    assert "validatorUrl: null" in asset("page.js").decode()


def test_the_page_runs_no_script_of_its_own_text() -> None:
    assert re.findall(r"<script(?! src=)|\son\w+=|javascript:", page("<script>alert(1)")) == []
    assert "&lt;script&gt;" in page("<script>")


async def test_what_is_kept_is_asked_about_by_its_tag(serve: Any, declared: Declarations) -> None:
    declare(declared)
    async with serve(declared) as s:
        for path in ("/openapi.json", "/docs", f"/docs/{RELEASE}/page.js"):
            first = await s.client.get(path)
            known = {"If-None-Match": f'"other", W/{first.headers["ETag"]}'}
            again = await s.client.get(path, headers=known)
            assert (again.status, again.body) == (304, b"")
            assert again.headers["ETag"] == first.headers["ETag"]
            changed = await s.client.get(path, headers={"If-None-Match": '"other"'})
            assert changed.status == 200


async def test_assets_are_kept_for_ever_and_compressed_for_who_takes_it(
    serve: Any, declared: Declarations
) -> None:
    declare(declared)
    async with serve(declared) as s:
        path = f"/docs/{RELEASE}/swagger-ui-bundle.js"
        plain = await s.client.get(path, headers={"Accept-Encoding": "identity"})
        small = await s.client.get(path, headers={"Accept-Encoding": "gzip"})
        assert "immutable" in plain.headers["Cache-Control"]
        assert small.headers["Content-Encoding"] == "gzip"
        assert plain.body == small.body == asset("swagger-ui-bundle.js")
        assert plain.headers["ETag"] != small.headers["ETag"]
        assert int(small.headers["Content-Length"]) < len(plain.body) / 3
        for missing in ("/docs/old/page.js", f"/docs/{RELEASE}/LICENSE", "/docs/x"):
            assert (await s.client.get(missing)).status == 404


@pytest.mark.parametrize("path", ["/openapi.json", "/docs", f"/docs/{RELEASE}/page.js"])
async def test_documents_are_read_only(serve: Any, declared: Declarations, path: str) -> None:
    declare(declared)
    async with serve(declared) as s:
        assert (await s.client.head(path)).status == 200
        refused = await s.client.post(path)
        assert refused.status == 405
        assert refused.headers["Allow"].startswith("GET, HEAD")


async def test_routes_of_the_app_come_first(serve: Any, declared: Declarations) -> None:
    @route(declared, "GET", "/docs")
    async def own() -> str:
        return "mine"

    async with serve(declared) as s:
        assert (await s.client.get("/docs")).json() == "mine"
        assert (await s.client.get("/openapi.json")).status == 200


async def test_documents_can_be_switched_off(declared: Declarations) -> None:
    declare(declared)
    settings = Settings(engine="memory://", docs=False)
    async with (
        opened("shop", declared, settings, SystemClock(), Signals()) as host,
        served(declared, host, Health(host)) as application,
    ):
        for path in ("/docs", "/openapi.json", f"/docs/{RELEASE}/page.js"):
            assert await status_of(application, path) == 404


async def test_behind_a_prefix_the_document_says_so(declared: Declarations) -> None:
    declare(declared)
    scope = {"type": "http", "headers": [], "root_path": "/api", "path": "/api/openapi.json"}
    pages = Pages("shop", declared.model, Documents())
    assert b'"servers":[{"url":"/api"}]' in bytes(pages.openapi(Request(scope)).body)
    about(declared, servers=["https://shop.example/v1"])
    pages = Pages("shop", declared.model, Documents())
    assert b'"servers":[{"url":"https://shop.example/v1"}]' in bytes(
        pages.openapi(Request(scope)).body
    )


def test_the_page_may_ask_the_servers_that_the_document_names() -> None:
    servers = ["https://b.example/v1", "https://a.example:8443", "/v1", "https://x; img-src *"]
    connect = "connect-src 'self' https://a.example:8443 https://b.example;"
    assert connect in policy(servers)
    assert "img-src *" not in policy(servers)


async def test_older_versions_have_documents_of_their_own(
    serve: Any, declared: Declarations
) -> None:
    @route(declared, "GET", "/orders")
    async def count() -> int:
        return 1

    declared.shared(Documents).versions["v<1"] = lambda type_: str if type_ is int else type_
    async with serve(declared) as s:
        newest = (await s.client.get("/openapi.json")).json()
        older = (await s.client.get("/openapi.json?version=v%3C1")).json()
        unknown = await s.client.get("/openapi.json?version=v9")
        shown = await s.client.get("/docs?version=v%3C1")
        assert (await s.client.get("/docs?version=v9")).status == 404
    assert (unknown.status, unknown.kind) == (404, "application/problem+json")
    assert older["info"]["version"] == "v<1"
    answers = [
        document["paths"]["/orders"]["get"]["responses"]["200"]["content"]["application/json"]
        for document in (newest, older)
    ]
    assert [answer["schema"] for answer in answers] == [{"type": "integer"}, {"type": "string"}]
    assert b'data-url="openapi.json?version=v%3C1"' in shown.body
    assert b'<a href="docs?version=v%3C1" aria-current="page">v&lt;1</a>' in shown.body


async def status_of(application: Any, path: str) -> int:
    """Return the status that an ASGI application answers GET of `path` with."""
    statuses: list[int] = []

    async def send(event: Any) -> None:
        if event["type"] == "http.response.start":
            statuses.append(event["status"])

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    await application(scope_of(path), receive, send)
    return statuses[0]


def scope_of(path: str) -> Scope:
    return {
        "type": "http",
        "http_version": "1.1",
        "method": "GET",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", b"shop")],
    }
