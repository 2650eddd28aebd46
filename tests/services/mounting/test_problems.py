"""Errors of a mounted framework, told as ours are."""

from typing import Annotated, Any

import litestar
import msgspec
import pydantic
import pytest
from fastapi import FastAPI, HTTPException
from litestar.exceptions import NotFoundException
from litestar.params import JSONBody
from starlette.types import Message, Receive, Scope, Send

from isthmus import App
from isthmus.services import Idempotency, Problem, Problems, add_middleware
from isthmus.services.layers import problems

from .test_layers import configured, of_django, problem  # noqa: F401, TID252


class Item(pydantic.BaseModel):
    total: Annotated[int, pydantic.Field(ge=0)]


class Draft(pydantic.BaseModel):
    id: str
    items: list[Item]


class Order(msgspec.Struct):
    id: str
    total: Annotated[int, msgspec.Meta(ge=0)]


async def test_fastapi_s_errors_and_all_its_faults(app: App, run: Any) -> None:
    api = FastAPI()

    @api.get("/missing")
    async def missing() -> None:
        raise HTTPException(404, "no such item", headers={"X-Tried": "1"})

    @api.get("/broken")
    async def broken() -> None:
        raise ValueError("secret")

    @api.post("/orders/{number}")
    async def take(number: int, draft: Draft) -> None: ...

    app.mount("/api", Problems(api))
    async with run(app) as client:
        async with client.get("/api/missing") as answer:
            assert (await problem(answer), answer.headers["X-Tried"]) == (404, "1")
            assert (await answer.json())["detail"] == "no such item"
        async with client.head("/api/nowhere") as answer:
            assert (answer.status, await answer.read()) == (404, b"")
        async with client.get("/api/broken") as answer:
            assert await problem(answer) == 500
            assert "secret" not in await answer.text()
        async with client.get("/api/orders/1") as answer:
            assert (await problem(answer), answer.headers["Allow"]) == (405, "POST")
        wrong = {"id": 1, "items": [{"total": 1}, {"total": -1}]}
        async with client.post("/api/orders/x", json=wrong) as answer:
            assert await problem(answer) == 422
            faults = (await answer.json())["errors"]
    assert [(fault["location"], fault["at"]) for fault in faults] == [
        ("path", "number"), ("body", "id"), ("body", "items[1].total"),
    ]  # fmt: skip
    assert "greater than or equal to 0" in faults[2]["detail"]


async def test_litestar_s_errors_and_what_it_lists(app: App, run: Any) -> None:
    @litestar.get("/missing")
    async def missing() -> None:
        raise NotFoundException("no such item")

    @litestar.get("/broken")
    async def broken() -> None:
        raise ValueError("secret")

    @litestar.post("/orders")
    async def take(data: JSONBody[Order]) -> None: ...

    app.mount("/api", Problems(litestar.Litestar([missing, broken, take])))
    async with run(app) as client:
        async with client.get("/api/missing") as answer:
            assert await problem(answer) == 404
            assert (await answer.json())["detail"] == "no such item"
        async with client.get("/api/broken") as answer:
            assert await problem(answer) == 500
            assert "secret" not in await answer.text()
        async with client.post("/api/orders", json={"id": "a", "total": -1}) as answer:
            assert await problem(answer) == 400
            [fault] = (await answer.json())["errors"]
    assert (fault["location"], fault["at"]) == ("body", "total")


async def test_django_s_pages_and_answers(app: App, run: Any) -> None:
    async def broken(_: bytes) -> None:
        raise ValueError("secret")

    async def fine(_: bytes) -> str:
        return "fine"

    app.mount("/shop", Problems(of_django({"/broken": broken, "/fine": fine})))
    async with run(app) as client:
        async with client.get("/shop/fine") as answer:
            assert (answer.status, await answer.json()) == (200, "fine")
        async with client.get("/shop/none") as answer:
            assert await problem(answer) == 404
        async with client.get("/shop/broken") as answer:
            assert await problem(answer) == 500
            assert "secret" not in await answer.text()


async def test_a_refusal_is_kept_under_its_key_as_it_was_told(app: App, run: Any) -> None:
    api, runs = FastAPI(), list[int]()

    @api.post("/orders")
    async def take() -> None:
        runs.append(1)
        raise HTTPException(410, "over")

    app.mount("/api", Problems(api), idempotency=Idempotency())
    async with run(app) as client:
        told = list[bytes]()
        for _ in range(2):
            async with client.post("/api/orders", headers={"Idempotency-Key": '"k"'}) as answer:
                assert (answer.status, answer.content_type) == (410, "application/problem+json")
                told.append(await answer.read())
    assert (told[0], len(runs)) == (told[1], 1)


async def test_it_may_be_around_everything_and_leaves_ours_as_they_are(app: App, run: Any) -> None:
    @app.get("/full")
    async def full() -> None:
        raise Problem(409, "full", seats=0)

    add_middleware(app.declarations, Problems)
    async with run(app) as client, client.get("/full") as answer:
        assert await problem(answer) == 409
        assert (await answer.json())["seats"] == 0


# --- what an application might answer ---------------------------------------------------------


async def told(status: int, kind: str, *parts: bytes, method: str = "GET") -> dict[str, Any]:
    """Return the problem that such an answer becomes."""

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(b"Content-Type", kind.encode()), (b"Content-Length", b"7"), (b"X-Own", b"1")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        for part in parts:
            await send({"type": "http.response.body", "body": part, "more_body": True})
        await send({"type": "http.response.body"})

    sent = list[Message]()

    async def send(event: Message) -> None:
        sent.append(event)

    async def receive() -> Message:
        raise AssertionError

    await Problems(application)({"type": "http", "method": method}, receive, send)
    start, body = sent
    headers = dict(start["headers"])
    assert (start["status"], headers[b"x-own"]) == (status, b"1")
    assert headers[b"content-type"] == b"application/problem+json"
    assert method == "HEAD" or headers[b"content-length"] == b"%d" % len(body["body"])
    return msgspec.json.decode(body["body"]) if body["body"] else {}


async def test_members_of_an_object_are_kept_but_for_those_of_a_problem() -> None:
    answer = await told(400, "application/json", b'{"total":["needed"],', b'"status":200,"type":1}')
    assert answer["total"] == ["needed"]
    assert (answer["type"], answer["title"], answer["status"]) == (
        "about:blank",
        "Bad Request",
        400,
    )


@pytest.mark.parametrize(
    ("status", "kind", "body"),
    [
        (500, "application/json", b'{"detail":"secret"}'),
        (404, "text/html", b"<h1>secret</h1>"),
        (400, "application/json", b'["secret"]'),
        (400, "application/json", b'{"detail":"secret'),
        (400, "application/json", b"[" * 10_000),
        (400, "application/json", b'{"detail":"%s"}' % (b"secret" * problems.READ)),
        (422, "application/json", b'{"detail":[{"msg":"secret"},7,{"loc":[],"msg":"secret"}]}'),
        (422, "application/json", b'{"detail":{"self":"secret"}}'),
    ],
)
async def test_nothing_else_is_told(status: int, kind: str, body: bytes) -> None:
    answer = await told(status, kind, body)
    assert answer.keys() == {"type", "title", "status", "request_id"}


async def test_head_has_no_body() -> None:
    assert await told(404, "application/json", b'{"detail":"no"}', method="HEAD") == {}
