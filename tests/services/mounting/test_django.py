"""Django in an App: views, async or not, its ORM, and messages of the App."""

import asyncio
import sys
import types
from pathlib import Path
from typing import Any

import django
import msgspec
import pytest
from asgiref.sync import async_to_sync
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.http import HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse
from django.urls import path, reverse

from isthmus import App


class Order(msgspec.Struct):
    id: str


@pytest.fixture(scope="module", autouse=True)
def configured(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder: Path = tmp_path_factory.mktemp("django")
    settings.configure(
        SECRET_KEY="of no importance",
        ALLOWED_HOSTS=["*"],
        ROOT_URLCONF="isthmus_test_urls",
        INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth"],
        DATABASES={
            "default": {
                "ENGINE": "django.db.backends.sqlite3",
                "NAME": str(folder / "django.db"),
                "OPTIONS": {"timeout": 20},
            }
        },
        USE_TZ=True,
    )
    django.setup()
    from django.core.management import call_command

    call_command("migrate", verbosity=0)


@pytest.fixture
def urls(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The views of a test; Django finds them by the name of their module."""
    from django.urls import clear_url_caches

    module = types.ModuleType("isthmus_test_urls")
    module.urlpatterns = []  # pyright: ignore[reportAttributeAccessIssue]
    monkeypatch.setitem(sys.modules, "isthmus_test_urls", module)
    clear_url_caches()
    return module.urlpatterns  # pyright: ignore[reportAttributeAccessIssue]


async def test_a_view_stores_by_the_orm_and_sends_a_message(
    app: App, urls: list[Any], run: Any
) -> None:
    from django.contrib.auth.models import Group

    orders, handled = app.queue("orders", Order), asyncio.Queue[Order]()

    @orders.handler()
    async def accept(order: Order) -> None:
        handled.put_nowait(order)

    async def take(_: HttpRequest, id: str) -> HttpResponse:
        await Group.objects.acreate(name=id)
        await orders.send(Order(id), id=id)
        return JsonResponse({"groups": await Group.objects.acount()}, status=202)

    urls.append(path("orders/<str:id>", take))
    app.mount("/shop", get_asgi_application())
    async with run(app) as client:
        async with client.get("/shop/orders/a") as answer:
            assert (answer.status, await answer.json()) == (202, {"groups": 1})
        assert await asyncio.wait_for(handled.get(), 5) == Order("a")


async def test_a_plain_view_reaches_the_async_face(app: App, urls: list[Any], run: Any) -> None:
    orders, handled = app.queue("orders", Order), asyncio.Queue[Order]()

    @orders.handler()
    async def accept(order: Order) -> None:
        handled.put_nowait(order)

    def take(_: HttpRequest) -> HttpResponse:
        async_to_sync(orders.send)(Order("plain"))
        return HttpResponse(status=202)

    urls.append(path("orders", take))
    app.mount("/shop", get_asgi_application())
    async with run(app) as client:
        async with client.get("/shop/orders") as answer:
            assert answer.status == 202
        assert await asyncio.wait_for(handled.get(), 5) == Order("plain")


async def test_links_lead_below_the_mount(app: App, urls: list[Any], run: Any) -> None:
    async def show(request: HttpRequest, id: int) -> HttpResponse:
        return JsonResponse([request.path, reverse("show", args=[id + 1])], safe=False)

    urls.append(path("items/<int:id>", show, name="show"))
    app.mount("/shop", get_asgi_application())
    async with run(app) as client, client.get("/shop/items/7") as answer:
        assert await answer.json() == ["/shop/items/7", "/shop/items/8"]


async def test_an_answer_is_streamed(app: App, urls: list[Any], run: Any) -> None:
    async def parts() -> Any:
        for number in range(3):
            yield b"%d" % number

    async def stream(_: HttpRequest) -> StreamingHttpResponse:
        return StreamingHttpResponse(parts())

    urls.append(path("stream", stream))
    app.mount("/shop", get_asgi_application())
    async with run(app) as client, client.get("/shop/stream") as answer:
        assert await answer.read() == b"012"


async def test_its_errors_are_its_own_and_nothing_leaks(
    app: App, urls: list[Any], run: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(_: HttpRequest) -> HttpResponse:
        raise ValueError("secret")

    urls.append(path("broken", broken))
    app.mount("/shop", get_asgi_application())
    async with run(app) as client:
        async with client.get("/shop/missing") as answer:
            assert (answer.status, answer.content_type) == (404, "text/html")
        async with client.get("/shop/broken") as answer:
            assert answer.status == 500
            assert b"secret" not in await answer.read()
    assert "secret" in caplog.text
