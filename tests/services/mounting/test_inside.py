"""An App inside of what others serve: FastAPI, and any server of ASGI."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import textwrap
import urllib.request
from collections.abc import AsyncGenerator, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from fastapi import FastAPI

from isthmus import App
from isthmus.errors import ConfigError


class Order(msgspec.Struct):
    id: str


@contextlib.asynccontextmanager
async def client_of(outer: Any) -> AsyncGenerator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app=outer)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        yield client


async def test_its_routes_and_workers_run_inside_of_fastapi(app: App) -> None:
    orders, handled = app.queue("orders", Order), asyncio.Queue[Order]()

    @orders.handler()
    async def accept(order: Order) -> None:
        handled.put_nowait(order)

    @app.post("/orders", status=202)
    async def take(order: Order) -> None:
        await orders.send(order, id=order.id)

    service = app.asgi()
    outer = FastAPI(lifespan=service.lifespan)
    outer.mount("/isthmus", service)

    @outer.post("/by-fastapi/{id}")
    async def send(id: str) -> None:
        await orders.send(Order(id))

    async with outer.router.lifespan_context(outer), client_of(outer) as client:
        answer = await client.post("/isthmus/orders", json={"id": "a"})
        assert answer.status_code == 202
        assert answer.headers["x-request-id"]
        assert await asyncio.wait_for(handled.get(), 5) == Order("a")
        assert (await client.post("/by-fastapi/b")).status_code == 200
        assert await asyncio.wait_for(handled.get(), 5) == Order("b")
        missing = await client.get("/isthmus/nothing")
        assert missing.headers["content-type"] == "application/problem+json"
        assert (await client.get("/isthmus/readyz")).status_code == 200


async def test_the_end_drains_what_runs(app: App) -> None:
    orders = app.queue("orders", Order)
    began, go_on, done = asyncio.Event(), asyncio.Event(), asyncio.Event()

    @orders.handler()
    async def accept(_: Order) -> None:
        began.set()
        await go_on.wait()
        done.set()

    service = app.asgi()
    async with service.lifespan():
        await orders.send(Order("a"))
        await began.wait()
        asyncio.get_running_loop().call_soon(go_on.set)
    assert done.is_set()


async def test_only_some_workers_may_run_beside(app: App) -> None:
    orders, mails = app.queue("orders", Order), app.queue("mails", Order)
    handled = asyncio.Queue[str]()

    @orders.handler()
    async def accept(order: Order) -> None:
        handled.put_nowait(order.id)

    @mails.handler()
    async def mail(_: Order) -> None:
        raise AssertionError("nobody asked for it")

    async with app.asgi(only=["queue:orders"]).lifespan():
        await mails.send(Order("mail"))
        await orders.send(Order("order"))
        assert await asyncio.wait_for(handled.get(), 5) == "order"
        stats = await app.declarations.host.queue.stats("mails", "mails")
        assert stats.ready == 1


async def test_without_its_lifespan_it_says_what_to_do(app: App) -> None:
    @app.get("/")
    async def hello() -> str:
        return "hello"

    outer = FastAPI()
    outer.mount("/isthmus", app.asgi())
    async with client_of(outer) as client:
        with pytest.raises(ConfigError, match=r"FastAPI\(lifespan=service.lifespan\)"):
            await client.get("/isthmus/")


async def test_it_can_be_begun_again(app: App) -> None:
    @app.get("/")
    async def hello() -> str:
        return "hello"

    service = app.asgi()
    for _ in range(2):
        async with service.lifespan(), client_of(service) as client:
            assert (await client.get("/")).json() == "hello"


async def test_an_app_that_cannot_open_tells_the_server() -> None:
    app, told = App("shop", engine="nonsense://"), list[dict[str, Any]]()
    asked: asyncio.Queue[dict[str, str]] = asyncio.Queue()
    asked.put_nowait({"type": "lifespan.startup"})

    async def tell(event: Any) -> None:
        told.append(event)

    with pytest.raises(ConfigError):
        await app.asgi()({"type": "lifespan"}, asked.get, tell)
    assert told[0]["type"] == "lifespan.startup.failed"
    assert "nonsense" in told[0]["message"]


# --- under a server of one's own --------------------------------------------------------------

SITE = """
    import asyncio
    from fastapi import FastAPI
    import msgspec
    from isthmus import App

    app = App("shop", engine="sqlite:///shop.db")

    class Order(msgspec.Struct):
        id: str

    orders = app.queue("orders", Order)

    @orders.handler()
    async def accept(order: Order) -> None:
        print("accepted", order.id, flush=True)

    @app.post("/orders", status=202)
    async def take(order: Order) -> None:
        await orders.send(order, id=order.id)

    @app.get("/slow")
    async def slow() -> str:
        print("began", flush=True)
        await asyncio.sleep(0.5)
        return "done"

    service = app.asgi()
    site = FastAPI(lifespan=service.lifespan)
    site.mount("/isthmus", service)
"""


class Site:
    def __init__(self, process: subprocess.Popen[str], address: str) -> None:
        self.process, self.address = process, address

    def says(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=30)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[str], Site]]:
    (tmp_path / "shop.py").write_text(textwrap.dedent(SITE), "utf-8")
    begun = list[subprocess.Popen[str]]()

    def started(target: str) -> Site:
        process = subprocess.Popen(
            [sys.executable, "-m", "uvicorn", target, "--port", "0", "--no-access-log"],
            cwd=tmp_path,
            env={**os.environ, "NO_COLOR": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        begun.append(process)
        assert process.stderr is not None
        for line in iter(process.stderr.readline, ""):
            if "running on" in line:
                return Site(process, line.partition("http")[1] + line.split("http")[1].split()[0])
        raise AssertionError("it did not start")

    yield started
    for process in begun:
        process.kill()
        process.wait()
        for pipe in (process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()


@pytest.mark.parametrize(("target", "below"), [("shop:site", "/isthmus"), ("shop:service", "")])
def test_uvicorn_serves_it_and_ends_it(
    start: Callable[[str], Site], target: str, below: str
) -> None:
    site = start(target)
    request = urllib.request.Request(
        f"{site.address}{below}/orders",
        data=json.dumps({"id": "a"}).encode(),
        headers={"content-type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert answer.status == 202
    assert site.says() == "accepted a"
    assert site.stop() in {0, -signal.SIGTERM}  # uvicorn ends by the signal it was sent


async def test_a_request_that_runs_is_answered_when_uvicorn_stops(
    start: Callable[[str], Site],
) -> None:
    site = start("shop:site")
    async with httpx.AsyncClient(timeout=20) as client:
        asking = asyncio.create_task(client.get(f"{site.address}/isthmus/slow"))
        assert await asyncio.to_thread(site.says) == "began"
        ending = asyncio.to_thread(site.stop)
        assert (await asking).json() == "done"
        assert await ending in {0, -signal.SIGTERM}
