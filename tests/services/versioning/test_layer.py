"""The layer as plain ASGI: where it stands, and whatever comes in."""

from typing import Any

import httpx
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Mount, Route
from starlette.types import Message, Receive, Scope, Send

from isthmus import App, Header, MediaType, Uri, Versions
from isthmus.clock import ManualClock
from isthmus.errors import ConfigError
from isthmus.services.problem import Problem
from isthmus.services.versioning import Versioned
from isthmus.services.versioning.operations import Operations
from isthmus.services.versioning.readers import Readers
from isthmus.versions import current
from isthmus.versions.names import Names
from isthmus.versions.operation import Operation


class Order(msgspec.Struct):
    total: int


class OrderV1(msgspec.Struct):
    total: str


class Cents:
    """Totals are numbers."""

    was = OrderV1

    def upgrade(self, old: dict[str, Any]) -> dict[str, Any]:
        return {"total": int(old["total"])}

    def downgrade(self, new: dict[str, Any]) -> dict[str, Any]:
        return {"total": str(new["total"])}


async def echo(request: Request) -> JSONResponse:
    return JSONResponse(await request.json())


def table() -> Versions:
    versions = Versions("v2", "v1")
    versions.operation("POST /orders", takes=Order, gives=Order)
    versions.change("v2", Order)(Cents)
    return versions


def client(application: Any) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(application), base_url="http://shop")


ECHO = Starlette(routes=[Route("/orders", echo, methods=["POST"])])


async def test_it_may_stand_below_a_path_itself() -> None:
    versions = table()
    versions.deprecate("v1")
    outer = Starlette(routes=[Mount("/inner", Versioned(ECHO, versions))])
    async with client(outer) as c:
        answer = await c.post("/inner/v1/orders", json={"total": "7"})
        assert answer.json() == {"total": "7"}
        assert answer.headers["link"] == '</inner/v2/orders>; rel="successor-version"'


async def test_the_application_builds_urls_of_the_version() -> None:
    async def told(request: Request) -> JSONResponse:
        return JSONResponse(str(request.url_for("told")))

    inner = Starlette(routes=[Route("/told", told)])
    async with client(Versioned(inner, table())) as c:
        assert (await c.get("/v1/told")).json() == "http://shop/v1/told"


async def test_websockets_have_versions_in_their_paths_and_no_bodies() -> None:
    seen, sent = list[Any](), list[Any]()

    async def talk(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append((scope["type"], scope["root_path"], current().name))

    async def receive() -> Message:
        raise AssertionError

    async def send(event: Message) -> None:
        sent.append(event)

    layer = Versioned(talk, table())
    for path in ("/v1/talk", "/v9/talk"):
        await layer({"type": "websocket", "path": path, "headers": []}, receive, send)
    assert seen == [("websocket", "/v1", "v1")]
    [closed] = sent
    assert closed["type"] == "websocket.close"
    assert "there is no version 'v9'" in closed["reason"]


async def test_where_an_operation_had_another_form_its_type_is_not_checked() -> None:
    versions = table()

    @versions.change("v2", path="POST /orders")
    class NoEnvelope:
        """No envelope."""

        def upgrade(self, old: dict[str, Any]) -> dict[str, Any]:
            return old["data"]

        def downgrade(self, new: dict[str, Any]) -> dict[str, Any]:
            return {"data": new}

    async with client(Versioned(ECHO, versions)) as c:
        body = {"data": {"total": "7"}}
        assert (await c.post("/v1/orders", json=body)).json() == body
        assert (await c.post("/v1/orders", json={"total": "7"})).status_code == 422


async def test_an_end_that_lies_ahead_is_announced_but_not_yet_so() -> None:
    clock, versions = ManualClock(0.0), table()
    versions.deprecate("v1", since="1970-01-02")
    async with client(Versioned(ECHO, versions, clock=clock)) as c:
        before = await c.post("/v1/orders", json={"total": "7"})
        assert before.headers["deprecation"] == "@86400"
        assert "api-deprecated-versions" not in before.headers
        await clock.advance(86400)
        after = await c.post("/v1/orders", json={"total": "7"})
        assert after.headers["api-deprecated-versions"] == "v1"


async def test_a_newest_version_that_ends_is_served_as_it_is() -> None:
    versions = table()
    versions.deprecate("v2", sunset="2999-01-01")

    async def tagged(request: Request) -> JSONResponse:
        return JSONResponse(request.headers["if-none-match"], headers={"etag": '"a"'})

    inner = Starlette(routes=[Route("/orders", tagged)])
    async with client(Versioned(inner, versions, default="v2")) as c:
        answer = await c.get("/orders", headers={"if-none-match": '"a"'})
        assert (answer.json(), answer.headers["etag"]) == ('"a"', '"a"')
        assert answer.headers["deprecation"] == "@0"


def test_an_operation_without_parameters_comes_before_those_with_some() -> None:
    one, latest, other = (Operation("GET", p) for p in ("/o/{id}", "/o/latest", "/o/{x}/y"))
    operations = Operations(Versions("v1"), [one, latest, other], below=[])
    assert operations.find("GET", "/o/latest") is latest
    assert operations.find("HEAD", "/o/a") is one
    assert operations.find("GET", "/o/a/y") is other
    assert operations.find("POST", "/o/a") is None


def test_types_that_cannot_be_led_are_refused_when_it_is_made() -> None:
    class Other(msgspec.Struct):
        total: int

    versions = table()
    versions.operation("GET /either", gives=Order | Other)
    with pytest.raises(ConfigError, match="cannot be told apart"):
        Versioned(ECHO, versions)


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"limit": 0}, "limit=0"),
        ({"except_": "/docs"}, "expected paths"),
        ({"except_": ["docs"]}, "expected paths"),
        ({"except_": ["/docs/"]}, "expected paths"),
    ],
)
def test_options_that_cannot_be_meant_are_refused(options: dict[str, Any], why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        Versioned(ECHO, table(), **options)


def test_it_is_told_of_in_the_declared_model() -> None:
    app = App("shop")
    app.versions("v2", "v1", by=Uri() | Header(), default="v1")
    [record] = [each for each in app.describe() if each.kind == "versions"]
    assert msgspec.to_builtins(record, enc_hook=str) == {
        "name": "api",
        "table": "v2, v1",
        "by": ["Uri()", "Header('api-version')"],
        "default": "v1",
    }


READERS = Readers(Uri() | Header() | MediaType("a.b"), Names(["v2", "v1"]), default=None)
PIECES = ("application/", "json", "vnd.", "a.b.", "v1", "+json", "*/*", "version", "q=", "0.5")
WORDS = st.sampled_from([*PIECES, *';,="/ 2'])
TEXT = st.lists(WORDS, max_size=12).map("".join) | st.text(max_size=30)


@given(path=TEXT, accept=TEXT, kind=TEXT, header=TEXT)
def test_whatever_a_request_says_it_is_understood_or_refused(
    path: str, accept: str, kind: str, header: str
) -> None:
    pairs = {b"accept": accept, b"content-type": kind, b"api-version": header}
    headers = [(name, text.encode("utf-8")) for name, text in pairs.items()]
    scope = {"type": "http", "method": "GET", "path": f"/{path}", "headers": headers}
    try:
        version = READERS.asked(scope).version
    except Problem as refused:
        problem = refused
    else:
        assert version in {"v1", "v2"}
        return
    assert problem.status in {400, 404, 406, 415}
    assert problem.members["supported"] == ["v2", "v1"]
