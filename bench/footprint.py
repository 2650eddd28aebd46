"""What isthmus takes before it does anything: memory, and the time to import it."""

import asyncio
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from bench.contest import Benchmark, Measures, Results
from bench.figure import Figure, figure
from bench.order import Order
from bench.ours import app_in, run, running

SETTLED = 0.5
"""Seconds after which an App that began is idle."""

TIMED = """
import time
began = time.perf_counter()
import {0}
print(time.perf_counter() - began)
"""

RESIDENT = """
for line in open("/proc/self/status"):
    if line.startswith("VmRSS"):
        print(line.split()[1])
"""


async def _idle(folder: Path) -> float:
    app = app_in(folder, "full")

    @app.queue("orders", Order).handler()
    async def handle(order: Order) -> None: ...

    async with app, running(app):
        await asyncio.sleep(SETTLED)
        return _resident()


def _resident() -> float:
    """Return the megabytes of this process that are in memory."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    raise LookupError("VmRSS")


def _asked(program: str) -> float:
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, check=True, text=True
    )
    return float(done.stdout)


def contend(folder: Path) -> Measures:
    return {
        "idle": run(_idle(folder)),
        "bare": _asked(RESIDENT) / 1024,
        "import": 1000 * _asked(TIMED.format("isthmus")),
        "asyncio": 1000 * _asked(TIMED.format("asyncio, sqlite3, msgspec")),
    }


def figures(results: Results) -> Sequence[Figure]:
    of = lambda measure: results.of("isthmus", measure)  # noqa: E731
    return [
        figure("app.idle.rss", of("idle"), "MiB"),
        figure("python.rss", of("bare"), "MiB"),
        figure("isthmus.import", of("import"), "ms"),
        figure("python.import.asyncio_sqlite3_msgspec", of("asyncio"), "ms"),
    ]


BENCHMARK = Benchmark(
    name="footprint",
    title="an idle App with one queue and one handler; importing isthmus",
    contenders={"isthmus": contend},
    figures=figures,
    rounds=3,
)
