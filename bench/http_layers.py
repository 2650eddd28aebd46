"""Microseconds of a request in each ASGI layer, without a server."""

import asyncio
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from bench.contest import Benchmark, Measures, Results
from bench.figure import Figure, figure
from isthmus.clock import SystemClock
from isthmus.services.layers.body_limit import BodyLimit
from isthmus.services.layers.failures import Failures
from isthmus.services.layers.heads import Heads
from isthmus.services.layers.request_id import Identified
from isthmus.services.layers.time_limit import TimeLimit

COUNT, TURNS = 4_000, 10

Application = Any
Layer = Callable[[Application], Application]

LAYERS: dict[str, tuple[str, Layer]] = {
    "failures": ("what fails leaves as a problem document", Failures),
    "identified": (
        "request id, trace context, deadline",
        lambda app: Identified(app, SystemClock()),
    ),
    "heads": ("size and shape of the request's head", lambda app: Heads(app, limit=65_536)),
    "time_limit": ("an answer begins in its time", lambda app: TimeLimit(app, seconds=60.0)),
    "body_limit": ("around mounts", lambda app: BodyLimit(app, limit=1 << 20)),
    "empty.5": ("five that do nothing", lambda app: _empty(5, app)),
}
ALL = "all"

HEADERS = [
    (b"host", b"shop.example"),
    (b"user-agent", b"bench/1"),
    (b"accept", b"*/*"),
    (b"accept-encoding", b"gzip, deflate"),
    (b"content-type", b"application/json"),
    (b"content-length", b"2"),
    (b"x-request-id", b"0123456789abcdef"),
    (b"traceparent", b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
]


async def bare(_: Any, receive: Any, send: Any) -> None:
    await receive()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"{}"})


class Empty:
    """A layer with nothing in it: what any costs."""

    def __init__(self, app: Application) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self._app(scope, receive, send)


def _empty(count: int, app: Application) -> Application:
    for _ in range(count):
        app = Empty(app)
    return app


def _all(app: Application) -> Application:
    """As a route has them."""
    for name in ("time_limit", "heads", "failures", "identified"):
        app = LAYERS[name][1](app)
    return app


async def _main() -> Measures:
    applications = {name: layer(bare) for name, (_, layer) in LAYERS.items()}
    applications |= {ALL: _all(bare), "": bare}
    least = dict.fromkeys(applications, float("inf"))
    for _ in range(TURNS):  # in turn, so that a busy moment of the machine is everybody's
        for name, application in applications.items():
            least[name] = min(least[name], await _timed(application))
    return {name: least[name] - least[""] for name in (*LAYERS, ALL)} | {"bare": least[""]}


async def _timed(application: Application) -> float:
    async def receive() -> Any:
        return {"type": "http.request", "body": b"{}", "more_body": False}

    async def send(_: Any) -> None: ...

    began = time.perf_counter()
    for _ in range(COUNT):
        scope = {
            "type": "http",
            "http_version": "1.1",
            "method": "POST",
            "path": "/v1/orders",
            "raw_path": b"/v1/orders",
            "query_string": b"",
            "headers": HEADERS,
        }
        await application(scope, receive, send)
    return (time.perf_counter() - began) / COUNT * 1e6


def figures(results: Results) -> Sequence[Figure]:
    names = (*LAYERS, ALL, "bare")
    return [figure(f"http_layer.{name}", results.of("isthmus", name), "us") for name in names]


def _run(_: Path) -> Measures:
    return asyncio.run(_main())


BENCHMARK = Benchmark(
    name="http_layers",
    title="microseconds of one request in each layer\n"
    + "\n".join(f"  {name:10} {meaning}" for name, (meaning, _) in LAYERS.items())
    + f"\n  {ALL:10} those that a route has"
    + "\n  bare       the application alone, which is taken off",
    contenders={"isthmus": _run},
    figures=figures,
    rounds=3,
)
