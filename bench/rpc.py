"""Unary gRPC calls, both sides isthmus or both grpcio with generated code."""

import asyncio
import contextlib
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Mapping, Sequence
from pathlib import Path
from typing import Any

import grpc.aio
import uvloop

from bench.contest import Benchmark, Measures, Results
from bench.figure import Figure, figure
from bench.rpc_service import Item, Orders, PriceRequest, generate, order
from isthmus.services.rpc import Stub

BLOCKS, SPAN = 14, 0.35
"""How often both take turns, and seconds of a turn."""
CALLERS = (1, 32)
DEADLINE = 10.0
"""Seconds; each call of both has one."""
SIDES = ("isthmus", "grpcio")

Call = Callable[[], Awaitable[Any]]


def beside(folder: Path) -> Measures:
    return uvloop.run(_main(folder))


async def _main(folder: Path) -> Measures:
    generate(folder)
    with _served("isthmus", folder) as ours, _served("grpcio", folder) as theirs:
        async with _isthmus(ours) as one, _grpcio(theirs, folder) as other:
            calls = {"isthmus": one, "grpcio": other}
            for call in calls.values():
                await _rate(call, 1)
            return {
                f"{side}.c{callers}": rate
                for callers in CALLERS
                for side, rate in (await _turns(calls, callers)).items()
            }


async def _turns(calls: Mapping[str, Call], callers: int) -> Measures:
    rates: dict[str, list[float]] = {side: [] for side in calls}
    for block in range(BLOCKS):
        for side in SIDES if block % 2 else reversed(SIDES):
            rates[side].append(await _rate(calls[side], callers))
    ratio = statistics.median(a / b for a, b in zip(rates["isthmus"], rates["grpcio"], strict=True))
    theirs = statistics.median(rates["grpcio"])
    return {"isthmus": theirs * ratio, "grpcio": theirs}


async def _rate(call: Call, callers: int) -> float:
    """Return the calls a second that so many callers make, each one after the other."""
    done, began = 0, time.perf_counter()
    end = began + SPAN

    async def caller() -> None:
        nonlocal done
        while time.perf_counter() < end:
            await call()
            done += 1

    await asyncio.gather(*(caller() for _ in range(callers)))
    return done / (time.perf_counter() - began)


@contextlib.asynccontextmanager
async def _isthmus(port: str) -> AsyncGenerator[Call]:
    request = order(PriceRequest, Item)
    async with Stub(Orders, f"127.0.0.1:{port}") as orders:  # its policy has the deadline
        yield lambda: orders.price(request)


@contextlib.asynccontextmanager
async def _grpcio(port: str, folder: Path) -> AsyncGenerator[Call]:
    messages, stubs = generate(folder)
    request = order(messages.PriceRequest, messages.Item)
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = stubs.OrdersServiceStub(channel)
        yield lambda: stub.Price(request, timeout=DEADLINE)


@contextlib.contextmanager
def _served(side: str, folder: Path) -> Generator[str]:
    command = [sys.executable, "-m", "bench.rpc_service", side, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.kill()


def figures(results: Results) -> Sequence[Figure]:
    found, name = list[Figure](), "isthmus beside grpcio"
    for callers in CALLERS:
        ours, theirs = (results.of(name, f"{side}.c{callers}") for side in SIDES)
        ratios = [one / other for one, other in zip(ours, theirs, strict=True)]
        ending = "" if callers == max(CALLERS) else f".c{callers}"
        found.append(figure(f"grpc.unary.vs_grpcio{ending}", ratios, target=">= 0.9"))
        found.append(figure(f"grpc.unary.c{callers}", ours, "/s"))
    return found


BENCHMARK = Benchmark(
    name="rpc",
    title=(
        "unary gRPC calls a second: our server and stub, with its policy (deadline, retry, circuit "
        "breaker, bulkhead), against a server and a stub of grpcio's generated code, with the same "
        f"messages and a deadline; servers in processes of their own, {BLOCKS} turns of {SPAN} s"
    ),
    contenders={"isthmus beside grpcio": beside},
    figures=figures,
    rounds=3,
)
