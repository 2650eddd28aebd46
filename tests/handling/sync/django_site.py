"""A Django site on SQLite whose views send messages with the rows they write; run by its test."""

import json
import sys
import threading
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import django
import msgspec
from django.conf import settings
from werkzeug.serving import make_server

from isthmus import App

FILE = Path("site.db").absolute()

settings.configure(
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    SECRET_KEY="of the test",
    USE_TZ=True,
    LOGGING_CONFIG=None,
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": FILE,
            "OPTIONS": {"transaction_mode": "IMMEDIATE", "timeout": 20},
        }
    },
)
django.setup()

from django.core.signals import request_started  # noqa: E402
from django.core.wsgi import get_wsgi_application  # noqa: E402
from django.db import connection, models, transaction  # noqa: E402
from django.http import HttpRequest, HttpResponse, JsonResponse  # noqa: E402
from django.urls import path  # noqa: E402


class Order(models.Model):
    number = models.CharField(max_length=20, primary_key=True)

    class Meta:
        app_label = "shop"

    def __str__(self) -> str:
        return str(self.number)


class Placed(msgspec.Struct):
    number: str


app = App("shop", engine=f"sqlite:///{FILE}")
placed = app.queue("placed", Placed)
shop = app.sync()


@placed.handler()
async def note(event: Placed) -> None:
    raise AssertionError("nobody runs it here")


def open_shop(**_: object) -> None:
    """Before a view, or ATOMIC_REQUESTS, begins a transaction; and after any fork."""
    shop.open()


request_started.connect(open_shop)


def place(request: HttpRequest, number: str) -> HttpResponse:
    """Row and event together, or neither."""
    with transaction.atomic(), shop.join(connection):  # type: ignore[attr-defined]
        Order.objects.create(number=number)  # type: ignore[attr-defined]
        shop.send(placed, Placed(number), id=number)
        if number.startswith("bad"):
            raise ValueError(number)
    return JsonResponse({"placed": number})


def alone(request: HttpRequest, number: str) -> HttpResponse:
    """Outside of atomic(), nothing would commit what is joined."""
    with shop.join(connection):
        shop.send(placed, Placed(number))
    return HttpResponse()


urlpatterns = [path("place/<number>", place), path("alone/<number>", alone)]


def get(port: int, way: str) -> int:
    try:
        with urlopen(f"http://127.0.0.1:{port}{way}", timeout=30) as answer:
            return answer.status
    except HTTPError as error:
        error.close()
        return error.code


def main() -> None:
    with connection.schema_editor() as editor:
        editor.create_model(Order)
    server = make_server("127.0.0.1", 0, get_wsgi_application(), threaded=True)  # type: ignore[arg-type]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    ways = [f"/place/{number}" for number in range(20)] + [f"/place/bad{n}" for n in range(5)]
    answers = dict[str, int]()

    def ask(way: str) -> None:
        answers[way] = get(server.server_port, way)

    threads = [threading.Thread(target=ask, args=(way,)) for way in [*ways, "/alone/1"]]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    server.shutdown()
    server.server_close()
    waiting = shop.call(placed.browse)
    told = {
        "answers": answers,
        "rows": sorted(Order.objects.values_list("number", flat=True)),  # type: ignore[attr-defined]
        "messages": sorted(each.message.id for each in waiting),
    }
    shop.close()
    json.dump(told, sys.stdout)


if __name__ == "__main__":
    main()
