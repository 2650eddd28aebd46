"""One sender, one at a time, and a handler that takes one at a time."""

from collections.abc import Sequence

from bench.contest import Benchmark, Results
from bench.figure import Figure, figure
from bench.peers import contender, litequeue
from bench.roundtrip import isthmus

COUNT, FEW = 2000, 400


def figures(results: Results) -> Sequence[Figure]:
    found = [
        figure(f"queue.roundtrip.c1.{name.replace(' ', '.')}", results.of(name, "round"), "/s")
        for name in BENCHMARK.contenders
    ]
    for durability, full in (("normal", ""), ("full", ".full")):
        ratios = results.ratios(f"isthmus {durability}", [f"litequeue {durability}"], "round")
        found.append(figure(f"queue.roundtrip.c1{full}.vs_litequeue", ratios, target=">= 0.7"))
    return found


BENCHMARK = Benchmark(
    name="single",
    title="2,000 orders (full: 400) by one sender, then one handler at a time; equal durability",
    contenders={
        "litequeue normal": contender(litequeue, synchronous="NORMAL", count=COUNT),
        "litequeue full": contender(litequeue, synchronous="FULL", count=FEW),
        "isthmus normal": isthmus("normal", count=COUNT, senders=1, concurrency=1),
        "isthmus full": isthmus("full", count=FEW, senders=1, concurrency=1),
    },
    figures=figures,
)
