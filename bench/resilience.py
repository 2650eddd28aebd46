"""What guarding a call costs, beside peers: nanoseconds over the bare call; and the import."""

import asyncio
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from bench.contest import Benchmark, Contender, Measures, Results
from bench.figure import Figure, figure
from bench.guards import BREAKERS, CHAINS, MISSING, STRATEGIES, SYNC_BREAKERS, chain

BLOCK, BLOCKS = 500, 31
"""Calls in a row, and how often the guarded and the bare function take turns."""

INTERPRETERS = 9
"""Fresh ones for each program; the quickest counts, as all that disturbs makes it longer."""

Guarding = Callable[[Callable[[int], Any]], Callable[[int], Any]]

ROOM = "import isthmus.resilience"
FIVE = "from isthmus.resilience import Bulkhead, CircuitBreaker, Policy, Retry, Timeout"
TIMED = """
import asyncio, time
began = time.perf_counter()
{0}
print(1000 * (time.perf_counter() - began))
"""


async def plain(x: int) -> int:
    return x


async def suspending(x: int) -> int:
    await asyncio.sleep(0)
    return x


def blocking(x: int) -> int:
    return x


# -- the contenders --------------------------------------------------------------------------------


def guarded(around: Guarding, *, uvloop: bool = False) -> Contender:
    """Return what measures a guard: around a call that never suspends, and one that does once."""

    async def main() -> Measures:
        return {
            "plain": await _over(plain, around(plain)),
            "suspending": await _over(suspending, around(suspending)),
        }

    return lambda _: _run(main(), uvloop=uvloop)


def guarded_sync(around: Guarding) -> Contender:
    return lambda _: {"sync": _over_sync(blocking, around(blocking))}


def _run(main: Coroutine[Any, Any, Measures], *, uvloop: bool) -> Measures:
    factory = import_module("uvloop").new_event_loop if uvloop else asyncio.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        return runner.run(main)


async def _over(bare: Callable[[int], Awaitable[int]], call: Callable[[int], Any]) -> float:
    """Return the nanoseconds that `call` takes longer, block by block, in the middle."""
    found = list[float]()
    for _ in range(BLOCKS):
        found.append(await _block(call) - await _block(bare))
    return statistics.median(found)


async def _block(call: Callable[[int], Awaitable[int]]) -> float:
    began = time.perf_counter_ns()
    for x in range(BLOCK):
        await call(x)
    return (time.perf_counter_ns() - began) / BLOCK


def _over_sync(bare: Callable[[int], int], call: Callable[[int], Any]) -> float:
    return statistics.median(_block_sync(call) - _block_sync(bare) for _ in range(BLOCKS))


def _block_sync(call: Callable[[int], int]) -> float:
    began = time.perf_counter_ns()
    for x in range(BLOCK):
        call(x)
    return (time.perf_counter_ns() - began) / BLOCK


def imports(folder: Path) -> Measures:
    """Measure what an import takes where asyncio is imported, and all bytecode is written."""
    programs = {"room": ROOM, "five": FIVE}
    env = os.environ | {"PYTHONPYCACHEPREFIX": str(folder)}
    env.pop("PYTHONDONTWRITEBYTECODE", None)
    found: dict[str, list[float]] = {name: [] for name in programs}
    for turn in range(INTERPRETERS + 1):
        for name, program in programs.items():
            took = _asked(TIMED.format(program), env)
            if turn:  # the first wrote the bytecode
                found[name].append(took)
    return {name: min(times) for name, times in found.items()}


def _asked(program: str, env: Mapping[str, str]) -> float:
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, check=True, text=True, env=env
    )
    return float(done.stdout)


CONTENDERS: Mapping[str, Contender] = {
    **{f"chain4 {name}": guarded(around) for name, around in CHAINS.items()},
    **{f"breaker {name}": guarded(around) for name, around in BREAKERS.items()},
    **{f"breaker.sync {name}": guarded_sync(around) for name, around in SYNC_BREAKERS.items()},
    **{f"alone {name}": guarded(one) for name, one in STRATEGIES.items()},
    "chain4.sync isthmus": guarded_sync(chain),
    "chain4.uvloop isthmus": guarded(chain, uvloop=True),
    "import isthmus": imports,
}


# -- the figures -----------------------------------------------------------------------------------

KINDS = (("plain", ""), ("suspending", ".suspending"))
CHAIN_TARGETS = {"hyx": ">= 8", "interlock": ">= 30", "tenacity_timeout": ">= 15"}


def figures(results: Results) -> Sequence[Figure]:
    return [*_costs(results), *_chains(results), *_breakers(results), *_imports(results)]


def _costs(results: Results) -> Sequence[Figure]:
    """Return what each guard costs by itself."""
    found = list[Figure]()
    for contender in CONTENDERS:
        what, name = contender.split()
        if what == "import":
            continue
        name = f"policy.{name}" if what == "alone" else f"policy.{what}.{name}"
        for kind, ending in (("sync", ""),) if what.endswith(".sync") else KINDS:
            found.append(figure(name + ending, results.of(contender, kind), "ns"))
    return found


def _chains(results: Results) -> Sequence[Figure]:
    return [
        figure(
            f"policy.chain4.vs_{peer}{ending}",
            results.ratios(f"chain4 {peer}", ["chain4 isthmus"], kind),
            target=CHAIN_TARGETS.get(peer),
        )
        for peer in CHAINS
        if peer != "isthmus"
        for kind, ending in KINDS
    ]


def _breakers(results: Results) -> Sequence[Figure]:
    """Return how many times more the cheapest of the peers costs than ours does."""
    return [
        figure(f"policy.{what}.vs_best_peer{ending}", best, target=">= 1")
        for what, kind, ending in (
            ("breaker", "plain", ""),
            ("breaker", "suspending", ".suspending"),
            ("breaker.sync", "sync", ""),
        )
        if (best := _best(results, what, kind))
    ]


def _best(results: Results, what: str, kind: str) -> Sequence[float]:
    """Return the least ratio of each round; nothing if no peer is there."""
    ours = f"{what} isthmus"
    peers = [one for one in CONTENDERS if one.split()[0] == what and one != ours]
    ratios = (results.ratios(peer, [ours], kind) for peer in peers)
    return [min(of_round) for of_round in zip(*ratios, strict=True)]


def _imports(results: Results) -> Sequence[Figure]:
    of = partial(results.of, "import isthmus")
    return [
        figure("policy.import_ms_over_asyncio.room_only", of("room"), "ms"),
        figure("policy.import_ms_over_asyncio", of("five"), "ms", target="<= 15"),
    ]


LEFT_OUT = f"; left out, as not installed: {', '.join(MISSING)}" if MISSING else ""

BENCHMARK = Benchmark(
    name="resilience",
    title=(
        "nanoseconds over the bare call, which is measured in the same process: a call that does "
        "not suspend, and one that does once; a chain is bulkhead, breaker, retry and timeout, "
        f"those of tenacity and stamina retry and asyncio.timeout only{LEFT_OUT};\n"
        f"import_ms: '{FIVE}' after 'import asyncio', the quickest of {INTERPRETERS} interpreters"
    ),
    contenders=CONTENDERS,
    figures=figures,
)
