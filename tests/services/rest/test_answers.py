"""What an answer says beside its value: its place, its version, its media type."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from multidict import CIMultiDict
from starlette.responses import FileResponse, HTMLResponse, Response

from isthmus.errors import ConfigError
from isthmus.handling.declarations import Declarations
from isthmus.services import JSON, Format, Preconditions, Reply, route

Serve = Callable[[Declarations], AbstractAsyncContextManager[Any]]
MOMENT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
DATE = "Fri, 02 Jan 2026 03:04:05 GMT"


class Order(msgspec.Struct):
    id: str
    total: int


def order_at(declared: Declarations, **said: Any) -> None:
    @route(declared, "GET", "/orders")
    async def order() -> Reply[Order]:
        return Reply(Order("a", 1), **said)


# --- what a Reply says --------------------------------------------------------------------------


async def test_what_was_made_is_201_with_its_place(declared: Declarations, serve: Serve) -> None:
    @route(declared, "POST", "/orders", status=201)
    async def take(order: Order) -> Reply[Order]:
        return Reply(order, location=f"/orders/{order.id}", headers={"X-More": "m"})

    async with serve(declared) as s:
        answer = await s.client.post("/orders", json={"id": "a", "total": 1})
        assert (answer.status, answer.json()) == (201, {"id": "a", "total": 1})
        assert (answer.headers["Location"], answer.headers["X-More"]) == ("/orders/a", "m")


async def test_a_reply_may_have_a_status_of_its_own(declared: Declarations, serve: Serve) -> None:
    @route(declared, "PUT", "/orders")
    async def put(new: bool) -> Reply[None]:
        return Reply(None, status=201 if new else 204)

    async with serve(declared) as s:
        assert (await s.client.put("/orders?new=true")).status == 201
        assert (await s.client.put("/orders?new=false")).status == 204


@pytest.mark.parametrize(
    "words",
    [{"status": 99}, {"etag": 'a"b'}, {"etag": "a b"}, {"location": "/a b"}, {"location": "/é"}],
)
def test_what_no_header_carries_is_refused(words: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        Reply(None, **words)


# --- GET on condition ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"If-None-Match": '"7"'}, 304),
        ({"If-None-Match": 'W/"7"'}, 304),
        ({"If-None-Match": '"6", "7"'}, 304),
        ({"If-None-Match": "*"}, 304),
        ({"If-None-Match": '"6"'}, 200),
        ({"If-None-Match": "7"}, 200),
        ({"If-Match": '"7"'}, 200),
        ({"If-Match": '"6"'}, 412),
        ({"If-Match": 'W/"7"'}, 412),
        ({"If-Modified-Since": DATE}, 304),
        ({"If-Modified-Since": "Fri, 02 Jan 2026 03:04:04 GMT"}, 200),
        ({"If-Modified-Since": "yesterday"}, 200),
        ({"If-Modified-Since": DATE, "If-None-Match": '"6"'}, 200),
        ({"If-Unmodified-Since": DATE}, 200),
        ({"If-Unmodified-Since": "Fri, 02 Jan 2026 03:04:04 GMT"}, 412),
        ({"If-Unmodified-Since": "Fri, 02 Jan 2026 03:04:04 GMT", "If-Match": '"7"'}, 200),
    ],
)
async def test_a_client_is_not_sent_what_it_has(
    declared: Declarations, serve: Serve, headers: dict[str, str], status: int
) -> None:
    order_at(declared, etag="7", last_modified=MOMENT)
    async with serve(declared) as s:
        for ask in (s.client.get, s.client.head):
            answer = await ask("/orders", headers=headers)
            assert answer.status == status
            assert answer.headers["ETag"] == '"7"'
            assert answer.headers["Last-Modified"] == DATE
            assert answer.headers["Vary"] == "accept"
            if status != 200:
                assert answer.body == b""


async def test_an_answer_without_a_tag_gets_a_weak_one_of_its_bytes(
    declared: Declarations, serve: Serve
) -> None:
    totals = [1, 1, 1, 2]

    @route(declared, "GET", "/orders")
    async def order() -> Order:
        return Order("a", totals.pop(0))

    @route(declared, "GET", "/plain", etag=False)
    async def plain() -> Order:
        return Order("a", 1)

    async with serve(declared) as s:
        first = await s.client.get("/orders")
        tag = first.headers["ETag"]
        assert tag.startswith('W/"')
        assert (await s.client.get("/orders", headers={"If-None-Match": tag})).status == 304
        assert (await s.client.get("/orders", headers={"If-Match": tag})).status == 412
        assert (await s.client.get("/orders", headers={"If-None-Match": tag})).status == 200
        assert "ETag" not in (await s.client.get("/plain")).headers


async def test_files_have_their_own_validators_and_ranges(
    declared: Declarations, serve: Serve, tmp_path: Path
) -> None:
    (tmp_path / "report.txt").write_text("0123456789")

    @route(declared, "GET", "/report")
    async def report() -> FileResponse:
        return FileResponse(tmp_path / "report.txt")

    async with serve(declared) as s:
        whole = await s.client.get("/report")
        assert whole.body == b"0123456789"
        again = await s.client.get("/report", headers={"If-None-Match": whole.headers["ETag"]})
        assert (again.status, again.body) == (304, b"")
        part = await s.client.get("/report", headers={"Range": "bytes=2-4"})
        assert (part.status, part.body) == (206, b"234")


# --- changing on condition ----------------------------------------------------------------------


def changing(declared: Declarations, *, there: str | None = "7") -> None:
    @route(declared, "PUT", "/orders")
    async def change(order: Order, preconditions: Preconditions) -> None:
        preconditions.check(there)

    @route(declared, "PATCH", "/orders")
    async def patch(preconditions: Preconditions | None = None) -> bool:
        return preconditions is not None


@pytest.mark.parametrize(
    ("there", "headers", "status"),
    [
        ("7", {}, 428),
        ("7", {"If-Match": '"7"'}, 204),
        ("7", {"If-Match": '"6"'}, 412),
        ("7", {"If-Match": "*"}, 204),
        ("7", {"If-None-Match": "*"}, 412),
        (None, {"If-None-Match": "*"}, 204),
        (None, {"If-Match": "*"}, 412),
        (None, {"If-Match": '"7"'}, 412),
    ],
)
async def test_a_change_asks_for_what_the_client_has_seen(
    declared: Declarations, serve: Serve, there: str | None, headers: dict[str, str], status: int
) -> None:
    changing(declared, there=there)
    async with serve(declared) as s:
        answer = await s.client.put("/orders", json={"id": "a", "total": 1}, headers=headers)
        assert answer.status == status
        if status == 412 and there:
            assert answer.headers["ETag"] == '"7"'


async def test_preconditions_may_be_optional(declared: Declarations, serve: Serve) -> None:
    changing(declared)
    async with serve(declared) as s:
        assert (await s.client.patch("/orders")).json() is False
        answer = await s.client.patch("/orders", headers={"If-Unmodified-Since": DATE})
        assert answer.json() is True


# --- media types --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("application/json", "application/json"),
        ("*/*", "application/json"),
        ("application/*", "application/json"),
        ("text/html, application/xhtml+xml, */*;q=0.8", "application/json"),
        ("application/vnd.shop.v2+json", "application/json"),
        ("application/vnd.msgpack", "application/vnd.msgpack"),
        ("application/x-msgpack", "application/vnd.msgpack"),
        ("application/json;q=0.5, application/vnd.msgpack", "application/vnd.msgpack"),
        ("application/json;q=0, */*", "application/vnd.msgpack"),
        ("application/json; Q=0.9, application/vnd.msgpack;q=0.8", "application/json"),
    ],
)
async def test_an_answer_is_of_the_media_type_that_is_accepted_most(
    declared: Declarations, serve: Serve, accept: str, kind: str
) -> None:
    order_at(declared)
    async with serve(declared) as s:
        for _ in range(2):  # the second time, it is known already
            answer = await s.client.get("/orders", headers={"Accept": accept})
            assert (answer.status, answer.kind) == (200, kind)
            read = msgspec.json.decode if kind.endswith("json") else msgspec.msgpack.decode
            assert read(answer.body) == {"id": "a", "total": 1}


async def test_what_is_accepted_may_be_said_in_several_headers(
    declared: Declarations, serve: Serve
) -> None:
    order_at(declared)
    headers = CIMultiDict([("Accept", "text/html"), ("Accept", "application/vnd.msgpack")])
    async with serve(declared) as s:
        answer = await s.client.get("/orders", headers=headers)
        assert answer.kind == "application/vnd.msgpack"


@pytest.mark.parametrize("accept", ["text/html", "application/json;q=0", "image/*;q=1, text/*"])
async def test_what_nobody_can_give_is_refused_with_what_there_is(
    declared: Declarations, serve: Serve, accept: str
) -> None:
    ran: list[int] = []

    @route(declared, "POST", "/orders")
    async def take() -> Order:
        ran.append(1)
        return Order("a", 1)

    async with serve(declared) as s:
        answer = await s.client.post("/orders", headers={"Accept": accept})
        assert (answer.status, answer.kind) == (406, "application/problem+json")
        assert answer.json()["supported"] == ["application/json", "application/vnd.msgpack"]
    assert not ran


async def test_bodies_are_read_in_every_format_with_all_faults(
    declared: Declarations, serve: Serve
) -> None:
    @route(declared, "POST", "/orders")
    async def take(order: Order) -> int:
        return order.total

    kind = {"Content-Type": "application/vnd.msgpack"}
    async with serve(declared) as s:
        body = msgspec.msgpack.encode({"id": "a", "total": 7})
        assert (await s.client.post("/orders", data=body, headers=kind)).json() == 7
        wrong = msgspec.msgpack.encode({"id": 1})
        refused = await s.client.post("/orders", data=wrong, headers=kind)
        assert {fault["at"] for fault in refused.json()["errors"]} == {"id", "total"}
        assert (await s.client.post("/orders", data=b"\xc1", headers=kind)).status == 400
        other = await s.client.post("/orders", data=b"x", headers={"Content-Type": "text/csv"})
        assert (other.status, other.json()["supported"][0]) == (415, "application/json")
        assert "application/vnd.msgpack" in other.headers["Accept"]


def pairs(body: bytes) -> Any:
    return msgspec.json.decode(body).items()


async def test_a_route_may_have_formats_of_its_own(declared: Declarations, serve: Serve) -> None:
    lines = Format(
        "text/x-pairs",
        read=lambda body: msgspec.json.encode(dict(p.split("=") for p in body.decode().split())),
        write=lambda body: b" ".join(b"%b=%b" % (k.encode(), v.encode()) for k, v in pairs(body)),
    )

    @route(declared, "POST", "/orders", formats=(JSON, lines))
    async def take(order: dict[str, str]) -> dict[str, str]:
        return order

    kind = {"Content-Type": "text/x-pairs", "Accept": "text/x-pairs"}
    async with serve(declared) as s:
        answer = await s.client.post("/orders", data=b"a=1 b=2", headers=kind)
        assert (answer.kind, answer.body) == ("text/x-pairs", b"a=1 b=2")
    with pytest.raises(ConfigError, match="expected as"):
        Format("YAML", bytes, bytes)


async def test_a_handler_of_responses_answers_what_it_likes(
    declared: Declarations, serve: Serve
) -> None:
    @route(declared, "GET", "/page")
    async def page() -> Response:
        return HTMLResponse("<p>hello")

    @route(declared, "GET", "/both")
    async def both() -> Order | HTMLResponse:
        return HTMLResponse("<p>hello")

    async with serve(declared) as s:
        for path in ("/page", "/both"):
            answer = await s.client.get(path, headers={"Accept": "text/html"})
            assert (answer.status, answer.kind) == (200, "text/html")


# --- methods and paths --------------------------------------------------------------------------


async def test_options_tells_the_methods_of_a_path(declared: Declarations, serve: Serve) -> None:
    order_at(declared)
    async with serve(declared) as s:
        answer = await s.client.options("/orders")
        assert (answer.status, answer.headers["Allow"]) == (204, "GET, HEAD, OPTIONS")


async def test_a_path_with_a_slash_at_its_end_is_another(
    declared: Declarations, serve: Serve
) -> None:
    order_at(declared)
    async with serve(declared) as s:
        answer = await s.client.get("/orders/")
        assert answer.status == 404
        assert "/orders is something else" in answer.json()["detail"]
