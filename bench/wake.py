"""How soon a handler in another process begins, beside what the disk itself takes."""

import asyncio
import os
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from bench.contest import Benchmark, Measures, Results
from bench.figure import Figure, figure
from bench.ours import app_in, run, running
from isthmus import App
from isthmus.messaging import Queue

COUNT, APART = 150, 0.02
"""Messages, and the seconds between them at least: the consumer is idle again."""


class Ping(msgspec.Struct):
    sent: int
    """time.monotonic_ns() of the sender; it is the same clock in all processes."""


def declared(folder: Path) -> tuple[App, Queue[Ping], list[float], asyncio.Event]:
    app, waits, done = app_in(folder, "full"), list[float](), asyncio.Event()
    pings = app.queue("pings", Ping)

    @pings.handler()
    async def handle(ping: Ping) -> None:
        waits.append((time.monotonic_ns() - ping.sent) / 1e6)
        if len(waits) == COUNT:
            done.set()

    return app, pings, waits, done


async def consume(folder: Path) -> None:
    app, _, waits, done = declared(folder)
    async with app, running(app):
        print("ready", flush=True)
        await done.wait()
    print(msgspec.json.encode(waits).decode())


async def publish(folder: Path, synced: list[float]) -> None:
    app, pings, _, _ = declared(folder)
    async with app:
        with (folder / "probe").open("wb", buffering=0) as probe:
            for _ in range(COUNT):
                await asyncio.sleep(APART * (1 + random.random()))
                synced.append(_sync(probe.fileno()))
                await asyncio.sleep(APART * (1 + random.random()))
                await pings.send(Ping(time.monotonic_ns()))


def _sync(probe: int) -> float:
    """Return the milliseconds it takes to append 4 KiB and have them on the disk."""
    began = time.monotonic_ns()
    os.write(probe, b"\0" * 4096)
    os.fdatasync(probe)
    return (time.monotonic_ns() - began) / 1e6


def contend(folder: Path) -> Measures:
    with subprocess.Popen(
        [sys.executable, "-m", "bench.wake", str(folder)], stdout=subprocess.PIPE
    ) as consumer:
        assert consumer.stdout is not None
        assert consumer.stdout.readline() == b"ready\n"
        synced = list[float]()
        run(publish(folder, synced))
        waits = msgspec.json.decode(consumer.stdout.readline(), type=list[float])
    p50, fsync = statistics.median(waits), statistics.median(synced)
    p99 = statistics.quantiles(waits, n=100)[98]
    return {"p50": p50, "p99": p99, "fsync": fsync, "over": p50 - fsync}


def figures(results: Results) -> Sequence[Figure]:
    of = lambda measure: results.of("isthmus", measure)  # noqa: E731
    return [
        figure("queue.wake_ms.p50", of("p50"), "ms"),
        figure("queue.wake_ms.p99", of("p99"), "ms"),
        figure("disk.fdatasync_ms.p50", of("fsync"), "ms"),
        figure("queue.wake_ms_over_fsync", of("over"), "ms", target="<= 1"),
    ]


BENCHMARK = Benchmark(
    name="wake",
    title="publish to the handler's first line in another, idle process; durability=full",
    contenders={"isthmus": contend},
    figures=figures,
    rounds=3,
)

if __name__ == "__main__":
    run(consume(Path(sys.argv[1])))
