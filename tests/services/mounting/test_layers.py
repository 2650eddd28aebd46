"""What is around our routes is around a mounted application, too, whoever made it."""

import asyncio
import sys
import types
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import django
import litestar
import msgspec
import pytest
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.http import HttpRequest, HttpResponse
from django.urls import clear_url_caches
from django.urls import path as django_path
from fastapi import FastAPI
from litestar.handlers import HTTPRouteHandler
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from isthmus import App
from isthmus.deadline import remaining
from isthmus.services import Conditional, Idempotency
from isthmus.services.layers.request_id import request_id

Endpoint = Callable[[bytes], Awaitable[Any]]
"""Takes a body, and returns what is answered as JSON."""
Endpoints = Mapping[str, Endpoint]
"""By their paths; each is asked by GET and POST."""

METHODS: list[Any] = ["GET", "POST"]
JSON = "application/json"


def starlette(endpoints: Endpoints) -> Any:
    def made(endpoint: Endpoint) -> Any:
        async def answer(request: Request) -> Response:
            told = await endpoint(await request.body())
            return Response(msgspec.json.encode(told), media_type=JSON)

        return answer

    return Starlette(
        routes=[Route(path, made(each), methods=METHODS) for path, each in endpoints.items()]
    )


def fastapi(endpoints: Endpoints) -> Any:
    api = FastAPI()
    for route in starlette(endpoints).routes:
        api.api_route(route.path, methods=METHODS)(route.endpoint)
    return api


def of_litestar(endpoints: Endpoints) -> Any:
    def made(path: str, endpoint: Endpoint) -> Any:
        async def answer(request: litestar.Request[Any, Any, Any]) -> bytes:
            return msgspec.json.encode(await endpoint(await request.body()))

        return HTTPRouteHandler(path, http_method=METHODS, status_code=200, media_type=JSON)(answer)

    return litestar.Litestar(
        [made(path, each) for path, each in endpoints.items()], openapi_config=None
    )


def of_django(endpoints: Endpoints) -> Any:
    def made(endpoint: Endpoint) -> Any:
        async def answer(request: HttpRequest) -> HttpResponse:
            told = await endpoint(request.body)
            return HttpResponse(msgspec.json.encode(told), content_type=JSON)

        return answer

    urls: Any = types.ModuleType("isthmus_test_urls")
    urls.urlpatterns = [django_path(path[1:], made(each)) for path, each in endpoints.items()]
    sys.modules["isthmus_test_urls"] = urls
    clear_url_caches()
    return get_asgi_application()


FRAMEWORKS = [starlette, fastapi, of_litestar, of_django]


@pytest.fixture(scope="module", autouse=True)
def configured() -> None:
    if not settings.configured:  # another module did it as well
        settings.configure(SECRET_KEY="no", ALLOWED_HOSTS=["*"], ROOT_URLCONF="isthmus_test_urls")
        django.setup()


@pytest.fixture(params=FRAMEWORKS, ids=["starlette", "fastapi", "litestar", "django"])
def framework(request: Any) -> Callable[[Endpoints], Any]:
    return request.param


class Order(msgspec.Struct):
    id: str


async def problem(answer: Any) -> int:
    """Return the status of an answer that is a problem document of ours."""
    assert answer.content_type == "application/problem+json"
    document = await answer.json()
    assert document["status"] == answer.status
    assert document["request_id"] == answer.headers["X-Request-ID"]
    return answer.status


async def test_a_key_is_missing_kept_of_another_request_or_still_at_work(
    app: App, run: Any, framework: Any
) -> None:
    orders, handled, runs = app.queue("orders", Order), list[str](), list[bytes]()
    began, go_on = asyncio.Event(), asyncio.Event()

    @orders.handler()
    async def accept(order: Order) -> None:
        handled.append(order.id)

    async def charge(body: bytes) -> dict[str, int]:
        runs.append(body)
        await orders.send(Order(f"{len(runs)}"))
        if body == b'"slow"':
            began.set()
            await go_on.wait()
        if len(runs) == 1:
            raise ValueError("undone")
        return {"run": len(runs)}

    app.mount("/shop", framework({"/charges": charge}), idempotency=Idempotency())
    async with asyncio.timeout(30), run(app) as client:

        def ask(key: str | None, body: str = '"a"') -> Any:
            said = {"Idempotency-Key": f'"{key}"'} if key else {}
            headers = {"Content-Type": JSON, **said}
            return client.post("/shop/charges", data=body, headers=headers)

        async with ask(None) as missing:
            assert await problem(missing) == 400
        async with ask("k") as failed:
            assert failed.status == 500
        async with ask("k") as first, ask("k") as again:
            assert (first.status, again.status) == (200, 200)
            assert await first.json() == await again.json() == {"run": 2}
            assert again.headers["Idempotency-Replayed"] == "true"
        async with ask("k", '"b"') as other:
            assert await problem(other) == 422
        slow = asyncio.create_task(ask("s", '"slow"').__aenter__())
        await began.wait()
        async with ask("s", '"slow"') as early:
            assert await problem(early) == 409
        go_on.set()
        assert await (await slow).json() == {"run": 3}
    assert sorted(handled) == ["2", "3"]


async def test_bodies_and_time_have_their_limits(app: App, run: Any, framework: Any) -> None:
    sizes, cancelled = list[int](), asyncio.Event()

    async def take(body: bytes) -> int:
        sizes.append(len(body))
        return len(body)

    async def slow(_: bytes) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    async def parts(size: int) -> Any:
        for _ in range(size):
            yield b"x"

    app.configure(http_request_timeout=0.3)
    app.mount("/shop", framework({"/take": take, "/slow": slow}), body_limit=10)
    async with asyncio.timeout(30), run(app) as client:
        async with client.post("/shop/take", data=b"x" * 10) as answer:
            assert await answer.json() == 10
        async with client.post("/shop/take", data=b"x" * 11) as answer:
            assert await problem(answer) == 413
        async with client.post("/shop/take", data=parts(11)) as answer:
            assert await problem(answer) == 413
        async with client.get("/shop/slow") as answer:
            assert await problem(answer) == 504
        await cancelled.wait()
        async with client.get(f"/shop/take?{'q' * 100_000}") as answer:
            assert answer.status in {414, 431}
    assert sizes == [10]


async def test_requests_have_ids_deadlines_and_conditions(
    app: App, run: Any, framework: Any
) -> None:
    async def told(_: bytes) -> list[Any]:
        return [request_id.get(), (remaining() or 0) > 1_000_000]

    async def item(_: bytes) -> str:
        return "the same"

    app.mount("/shop", Conditional(framework({"/told": told, "/item": item})))
    async with asyncio.timeout(30), run(app) as client:
        headers = {"X-Request-ID": "mine", "isthmus-deadline": "9999999999"}
        async with client.get("/shop/told", headers=headers) as answer:
            assert await answer.json() == ["mine", True]
            assert answer.headers["X-Request-ID"] == "mine"
        async with client.get("/shop/told", headers={"isthmus-deadline": "1"}) as answer:
            assert await problem(answer) == 504
        async with client.get("/shop/item") as answer:
            tag = answer.headers["ETag"]
        async with client.get("/shop/item", headers={"If-None-Match": tag}) as answer:
            assert (answer.status, await answer.read()) == (304, b"")
