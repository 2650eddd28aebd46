"""Calling a service over HTTP, beside httpx and aiohttp: a typed POST, connections kept alive."""

import asyncio
import contextlib
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import aiohttp
import httpx
import msgspec
import uvloop

from bench.contest import Benchmark, Contender, Measures, Results
from bench.figure import Figure, figure
from isthmus.services.client import Client

SPAN, SPANS, WARM = 0.3, 8, 0.3
"""Seconds that are measured at a time, how often, and those before. The best counts: whatever
else the machine does makes all others slower."""

CALLERS = (1, 32)

SERVER = """
import sys, socket, uvicorn

BODY = b'{"id":"ord-000000042","price":12345,"accepted":1}'.ljust(50)
START = {"type": "http.response.start", "status": 200, "headers": [
    (b"content-type", b"application/json"), (b"content-length", b"50")]}

async def app(scope, receive, send):
    while (await receive()).get("more_body"):
        pass
    await send(START)
    await send({"type": "http.response.body", "body": BODY})

listener = socket.socket(fileno=int(sys.argv[1]))
uvicorn.Server(uvicorn.Config(app, http="httptools", loop="uvloop", lifespan="off",
    log_config=None, access_log=False)).run(sockets=[listener])
"""
"""A process of its own, so that its work is not counted as the client's."""


class Order(msgspec.Struct):
    id: str
    sku: str
    quantity: int
    total: int
    customer: str
    note: str


class Price(msgspec.Struct):
    id: str
    price: int
    accepted: int


ORDER = Order("ord-000000042", "sku-77-blue-large", 3, 123456, "customer-000017@shop.example", "")
ORDER.note = "x" * (194 - len(msgspec.json.encode(ORDER)))

Post = Callable[[], Awaitable[Price]]
Opened = Callable[[str], AbstractAsyncContextManager[Post]]


@asynccontextmanager
async def with_httpx(url: str):
    """As its documentation says: one client for all calls, with a timeout."""
    encode, decode = msgspec.json.Encoder().encode, msgspec.json.Decoder(Price).decode
    headers = {"content-type": "application/json"}
    limits = httpx.Limits(max_connections=100, max_keepalive_connections=100)
    async with httpx.AsyncClient(base_url=url, timeout=10, limits=limits) as client:

        async def post() -> Price:
            response = await client.post("/prices", content=encode(ORDER), headers=headers)
            response.raise_for_status()
            return decode(response.content)

        yield post


@asynccontextmanager
async def with_aiohttp(url: str):
    """As its documentation says: one session for all calls, with a total timeout."""
    encode, decode = msgspec.json.Encoder().encode, msgspec.json.Decoder(Price).decode
    headers = {"content-type": "application/json"}
    timeout = aiohttp.ClientTimeout(total=10)
    async with aiohttp.ClientSession(url, timeout=timeout, raise_for_status=True) as session:

        async def post() -> Price:
            async with session.post("/prices", data=encode(ORDER), headers=headers) as response:
                return decode(await response.read())

        yield post


@asynccontextmanager
async def with_isthmus(url: str):
    """By its default policy: two timeouts, retry, circuit breaker, bulkhead."""
    async with Client("prices", url) as client:

        async def post() -> Price:
            return await client.post("/prices", ORDER, result=Price)

        yield post


def calling(opened: Opened) -> Contender:
    """Return what measures calls a second, and the client's CPU for each."""

    async def main(url: str) -> Measures:
        found = dict[str, float]()
        async with opened(url) as post:
            assert (await post()).accepted == 1
            for callers in CALLERS:
                await _rate(post, callers, WARM)
                rates, cpus = zip(
                    *[await _rate(post, callers, SPAN) for _ in range(SPANS)], strict=False
                )
                found |= {f"c{callers}": max(rates), f"c{callers}.cpu": min(cpus)}
        return found

    def turn(_: Path) -> Measures:
        with served() as url, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(main(url))

    return turn


async def _rate(post: Post, callers: int, span: float) -> tuple[float, float]:
    """Return the calls a second, and the microseconds of CPU for each."""
    made, until = 0, time.perf_counter() + span

    async def caller() -> None:
        nonlocal made
        while time.perf_counter() < until:
            await post()
            made += 1

    began, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*(caller() for _ in range(callers)))
    took, used = time.perf_counter() - began, time.process_time() - cpu
    return made / took, 1e6 * used / made


@contextlib.contextmanager
def served():
    """Give the URL of a server that answers at once."""
    with socket.create_server(("127.0.0.1", 0), backlog=256) as listener:
        descriptor = listener.fileno()
        with subprocess.Popen(
            [sys.executable, "-c", SERVER, str(descriptor)], pass_fds=[descriptor]
        ) as server:
            try:
                yield f"http://127.0.0.1:{listener.getsockname()[1]}"
            finally:
                server.kill()


CONTENDERS: Mapping[str, Contender] = {
    "httpx": calling(with_httpx),
    "aiohttp": calling(with_aiohttp),
    "isthmus": calling(with_isthmus),
}


def figures(results: Results) -> Sequence[Figure]:
    def over(callers: int, other: str) -> Sequence[float]:
        return results.ratios("isthmus", [other], f"c{callers}")

    return [
        figure("client.c32.vs_httpx", over(32, "httpx"), target=">= 8"),
        figure("client.c1.vs_httpx", over(1, "httpx"), target=">= 4.5"),
        figure("client.c32.vs_aiohttp", over(32, "aiohttp"), target=">= 0.85"),
        figure("client.c1.vs_aiohttp", over(1, "aiohttp")),
        *(
            figure(f"client.c{callers}.{name}.{what}", results.of(name, key), unit)
            for callers in CALLERS
            for name in CONTENDERS
            for what, key, unit in (
                ("rate", f"c{callers}", "calls/s"),
                ("cpu", f"c{callers}.cpu", "us/call"),
            )
        ),
    ]


BENCHMARK = Benchmark(
    name="client",
    title=(
        "a POST of 194 bytes of JSON, answered by 50, typed in and out by msgspec, over kept-alive "
        "connections to a server in a process of its own; by 1 and by 32 callers; all on uvloop.\n"
        "isthmus by its default policy, httpx and aiohttp with their timeouts; cpu: of the client"
    ),
    contenders=CONTENDERS,
    figures=figures,
)
