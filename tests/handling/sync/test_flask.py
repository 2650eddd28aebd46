"""Flask views under a WSGI server with many threads: they send, call and ask."""

import asyncio
import threading
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.request import urlopen

import flask
import msgspec
import pytest
from werkzeug.serving import make_server

from isthmus import App
from isthmus.messaging import Queue


class Ask(msgspec.Struct):
    sku: str


class Quote(msgspec.Struct):
    sku: str
    cents: int


class Site:
    """One App for Flask's process, and one, which a service of its own would be, that answers."""

    def __init__(self, file: Path) -> None:
        engine = f"sqlite:///{file}?durability=normal"
        self.service, self.app = App("service", engine=engine), App("shop", engine=engine)
        for each in (self.service, self.app):
            each.database(shared=True)
        self.prices: Queue[Ask] = self.app.queue("prices", Ask)
        self.orders: Queue[Ask] = self.app.queue("orders", Ask)
        self.flask = flask.Flask("shop")
        shop = self.app.sync()

        @self.service.queue("prices", Ask).handler()
        async def quote(ask: Ask) -> Quote:
            return Quote(ask.sku, len(ask.sku))

        @self.flask.post("/orders/<sku>")
        def order(sku: str) -> dict[str, str]:
            return {"id": shop.send(self.orders, Ask(sku), id=sku)}

        @self.flask.get("/prices/<sku>")
        def price(sku: str) -> dict[str, int]:
            found = shop.request(self.prices, Ask(sku), result=Quote, timeout=30)
            return {"cents": found.cents}

        @self.flask.get("/waiting")
        def waiting() -> dict[str, int]:
            return {"ready": shop.call(self.orders.stats).ready}

    def serve(self, ready: threading.Event) -> None:
        """Run the service until its loop is stopped."""
        asyncio.run(self._serve(ready))

    async def _serve(self, ready: threading.Event) -> None:
        self.loop = asyncio.get_running_loop()
        self.stopped = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            group.create_task(self.service.run())
            ready.set()
            await self.stopped.wait()
            await self.service.drain()


@pytest.fixture
def address(tmp_path: Path) -> Generator[str]:
    site, ready = Site(tmp_path / "shop.db"), threading.Event()
    service = threading.Thread(target=site.serve, args=(ready,))
    service.start()
    assert ready.wait(20)
    server = make_server("127.0.0.1", 0, site.flask, threaded=True)
    serving = threading.Thread(target=server.serve_forever)
    serving.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    serving.join(20)
    site.app.sync().close()
    site.loop.call_soon_threadsafe(site.stopped.set)
    service.join(20)


def fetch(url: str, *, post: bool = False) -> bytes:
    with urlopen(url, data=b"" if post else None, timeout=40) as answer:
        return answer.read()


def test_views_send_from_many_threads(address: str) -> None:
    with ThreadPoolExecutor(8) as threads:
        urls = [f"{address}/orders/{number}" for number in range(40)]
        list(threads.map(lambda url: fetch(url, post=True), urls))
    assert msgspec.json.decode(fetch(f"{address}/waiting")) == {"ready": 40}


def test_views_ask_services_that_speak_only_messages(address: str) -> None:
    with ThreadPoolExecutor(8) as threads:
        skus = ["x" * (1 + number) for number in range(24)]
        found = threads.map(lambda sku: fetch(f"{address}/prices/{sku}"), skus)
        cents = [msgspec.json.decode(each)["cents"] for each in found]
    assert cents == [len(sku) for sku in skus]
