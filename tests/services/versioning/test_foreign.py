"""Other frameworks get versions, too: mounted in an App, or alone behind the layer."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Annotated, Any

import httpx
import msgspec
import pydantic
import pytest
from fastapi import FastAPI
from litestar import Litestar, post
from litestar.params import Body
from starlette.types import ASGIApp

from isthmus import App, Header, MediaType, Uri, Versions
from isthmus.errors import ConfigError
from isthmus.services.versioning import Versioned


class Order(pydantic.BaseModel):
    id: str
    total: int


class OrderV1(pydantic.BaseModel):
    id: str
    total: str


class TotalInCents:
    """Totals are in cents, not in a decimal string."""

    was = OrderV1

    def upgrade(self, old: dict[str, Any]) -> dict[str, Any]:
        return {**old, "total": round(float(old["total"]) * 100)}

    def downgrade(self, new: dict[str, Any]) -> dict[str, Any]:
        return {**new, "total": f"{new['total'] / 100:.2f}"}


NEW, OLD = {"id": "a", "total": 1250}, {"id": "a", "total": "12.50"}


def fastapi() -> FastAPI:
    shop = FastAPI()

    @shop.post("/orders")
    async def take(order: Order) -> Order:
        return order

    @shop.get("/orders/{id}")
    async def show(id: str) -> dict[str, Order]:
        return {"order": Order(id=id, total=1250)}

    return shop


def litestar() -> Litestar:
    @post("/orders", status_code=200)
    async def take(data: Annotated[Order, Body()]) -> Order:
        return data

    return Litestar([take], openapi_config=None)


async def test_a_mounted_fastapi_application_has_the_apps_versions(serve: Any) -> None:
    app = App("shop")
    app.mount("/shop", fastapi())
    app.mount("/legacy", fastapi())
    versions = app.versions("v2", "v1", mounts=["/shop"])
    versions.operation("POST /shop/orders", takes=Order, gives=Order)
    versions.operation("GET /shop/orders/{id}", gives=dict[str, Order])
    versions.change("v2", Order)(TotalInCents)
    async with serve(app.declarations) as s:
        for version, body in (("v1", OLD), ("v2", NEW)):
            answer = await s.client.post(f"/{version}/shop/orders", json=body)
            assert (answer.status, answer.json()) == (200, body)
            shown = await s.client.get(f"/{version}/shop/orders/a")
            assert shown.json() == {"order": body}
            assert shown.headers["api-version"] == version
        refused = await s.client.post("/v1/shop/orders", json=NEW)
        assert (refused.status, refused.kind) == (422, "application/problem+json")
        assert refused.json()["errors"][0]["at"] == "total"
        assert (await s.client.get("/shop/orders/a")).status == 404
        assert (await s.client.post("/legacy/orders", json=NEW)).json() == NEW


@asynccontextmanager
async def alone(application: ASGIApp, by: Any) -> AsyncGenerator[httpx.AsyncClient]:
    versions = Versions("v2", "v1")
    versions.operation("POST /orders", takes=Order, gives=Order)
    versions.change("v2", Order)(TotalInCents)
    layer = Versioned(application, versions, by=by)
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(layer), base_url="http://shop"
    ) as client:
        yield client


@pytest.mark.parametrize("application", [fastapi, litestar], ids=["fastapi", "litestar"])
async def test_any_application_has_them_behind_the_layer(application: Any) -> None:
    async with alone(application(), Uri() | Header() | MediaType()) as client:
        assert (await client.post("/v1/orders", json=OLD)).json() == OLD
        assert (await client.post("/v2/orders", json=NEW)).json() == NEW
        by_header = await client.post("/orders", json=OLD, headers={"api-version": "v1"})
        assert by_header.json() == OLD
        kind = "application/vnd.shop.v1+json"
        by_kind = await client.post(
            "/orders", json=OLD, headers={"accept": kind, "content-type": kind}
        )
        assert (by_kind.json(), by_kind.headers["content-type"]) == (OLD, kind)
        unsaid = await client.post("/orders", json=NEW)
        assert (unsaid.status_code, unsaid.json()["supported"]) == (404, ["v2", "v1"])


async def test_an_operation_may_change_where_no_type_is_known() -> None:
    versions = Versions("v2", "v1")

    @versions.change("v2", path="POST /orders")
    class TotalInCentsHere(TotalInCents):
        """Totals are in cents."""

        was = None

    layer = Versioned(fastapi(), versions)
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(layer), base_url="http://shop"
    ) as client:
        assert (await client.post("/v1/orders", json=OLD)).json() == OLD


async def test_django_has_them_behind_the_layer() -> None:
    import django
    from django.conf import settings
    from django.core.asgi import get_asgi_application
    from django.http import HttpRequest, JsonResponse
    from django.test import override_settings
    from django.urls import clear_url_caches, path

    def take(request: HttpRequest) -> JsonResponse:
        return JsonResponse(msgspec.json.decode(request.body))

    if not settings.configured:
        settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], SECRET_KEY="x")
        django.setup()
    globals()["urlpatterns"] = [path("orders", take)]
    clear_url_caches()
    with override_settings(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"]):
        async with alone(get_asgi_application(), Uri()) as client:
            assert (await client.post("/v1/orders", json=OLD)).json() == OLD
            assert (await client.post("/v2/orders", json=NEW)).json() == NEW


async def test_a_mount_that_there_is_not_is_refused(serve: Any) -> None:
    app = App("shop")
    app.mount("/shop", fastapi())
    app.versions("v2", "v1", mounts=["/shops"])
    with pytest.raises(ConfigError, match="mounts are: /shop"):
        async with serve(app.declarations):
            pass


def test_an_operation_is_told_once() -> None:
    versions = Versions("v2", "v1")
    versions.operation("GET /x", gives=Order)
    with pytest.raises(ConfigError, match="GET /x is there twice"):
        versions.operation("GET /x", gives=Order)
