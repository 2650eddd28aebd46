"""Calling a service over HTTP, beside httpx and aiohttp: a typed POST, connections kept alive."""

import asyncio
import contextlib
import os
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

WAYS = (("c1", 1, True), ("c1.apart", 1, False), ("c32", 32, False))
"""What is measured: its name, how many call, and whether client and server share a processor. One
caller and its server take turns, so they can; apart, what an idle processor takes to wake, twice
a call, is added to every client's work."""

SERVER = """
import asyncio, socket, sys, httptools, uvloop

BODY = b'{"id":"ord-000000042","price":12345,"accepted":1}'.ljust(50)
HEAD = b"HTTP/1.1 200 OK\\r\\ncontent-type: application/json\\r\\ncontent-length: 50\\r\\n\\r\\n"

class Answering(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport, self.parser = transport, httptools.HttpRequestParser(self)

    def data_received(self, data):
        self.parser.feed_data(data)

    def on_message_complete(self):
        self.transport.write(HEAD + BODY)

async def main():
    listener = socket.socket(fileno=int(sys.argv[1]))
    server = await asyncio.get_running_loop().create_server(Answering, sock=listener)
    await server.serve_forever()

uvloop.run(main())
"""
"""Reads each request whole and answers at once: clients are compared, not servers. A process of
its own, so that its work is not counted as the client's."""


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

    async def main(url: str, server: int) -> Measures:
        found = dict[str, float]()
        async with opened(url) as post:
            assert (await post()).accepted == 1
            for name, callers, shared in WAYS:
                with processors(shared=shared, server=server):
                    await _rate(post, callers, WARM)
                    rates, cpus = zip(
                        *[await _rate(post, callers, SPAN) for _ in range(SPANS)], strict=False
                    )
                found |= {name: max(rates), f"{name}.cpu": min(cpus)}
        return found

    def turn(_: Path) -> Measures:
        loops = uvloop.new_event_loop
        with served() as (url, server), asyncio.Runner(loop_factory=loops) as runner:
            return runner.run(main(url, server))

    return turn


@contextlib.contextmanager
def processors(*, shared: bool, server: int):
    """Keep this process and the server on one processor, where the system can."""
    if not shared or not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = {process: os.sched_getaffinity(process) for process in (0, server)}
    one = {min(before[0])}
    try:
        for process in before:
            os.sched_setaffinity(process, one)
        yield
    finally:
        for process, allowed in before.items():
            os.sched_setaffinity(process, allowed)


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
    """Give the URL of a server that answers at once, and its process."""
    with socket.create_server(("127.0.0.1", 0), backlog=256) as listener:
        descriptor = listener.fileno()
        with subprocess.Popen(
            [sys.executable, "-c", SERVER, str(descriptor)], pass_fds=[descriptor]
        ) as server:
            try:
                yield f"http://127.0.0.1:{listener.getsockname()[1]}", server.pid
            finally:
                server.kill()


CONTENDERS: Mapping[str, Contender] = {
    "httpx": calling(with_httpx),
    "aiohttp": calling(with_aiohttp),
    "isthmus": calling(with_isthmus),
}


def figures(results: Results) -> Sequence[Figure]:
    def over(way: str, other: str) -> Sequence[float]:
        return results.ratios("isthmus", [other], way)

    return [
        figure("client.c32.vs_httpx", over("c32", "httpx"), target=">= 8"),
        figure("client.c1.vs_httpx", over("c1", "httpx"), target=">= 4.5"),
        figure("client.c32.vs_aiohttp", over("c32", "aiohttp"), target=">= 0.85"),
        figure("client.c1.vs_aiohttp", over("c1", "aiohttp")),
        figure("client.c1.apart.vs_httpx", over("c1.apart", "httpx")),
        *(
            figure(f"client.{way}.{name}.{what}", results.of(name, key), unit)
            for way, _, _ in WAYS
            for name in CONTENDERS
            for what, key, unit in (
                ("rate", way, "calls/s"),
                ("cpu", f"{way}.cpu", "us/call"),
            )
        ),
    ]


BENCHMARK = Benchmark(
    name="client",
    title=(
        "a POST of 194 bytes of JSON, answered by 50, typed in and out by msgspec, over kept-alive "
        "connections to a server in a process of its own; by 1 (on the server's processor, and "
        "apart from it) and by 32 callers; all on uvloop.\n"
        "isthmus by its default policy, httpx and aiohttp with their timeouts; cpu: of the client"
    ),
    contenders=CONTENDERS,
    figures=figures,
)
