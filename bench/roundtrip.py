"""Many senders: a queue's round trip, from `send` to the acknowledgement."""

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path

from bench.byhand import ByHand, batches
from bench.contest import Benchmark, Contender, Measures, Results
from bench.figure import Figure, figure
from bench.order import Order, orders
from bench.ours import Durability, app_in, run, running, send_all
from bench.peers import PEERS, Synchronous, contender

SENDERS, CLAIMED = 256, 512
MANY = 50_000


def isthmus(
    durability: Durability, *, count: int, senders: int, concurrency: int = 16
) -> Contender:
    """Send all, then have a handler take all: with its inbox, until all is settled."""

    async def main(folder: Path) -> Measures:
        app, handled, done = app_in(folder, durability), 0, asyncio.Event()
        queue = app.queue("orders", Order)

        @queue.handler(concurrency=concurrency)
        async def handle(order: Order) -> None:
            nonlocal handled
            assert order.quantity
            handled += 1
            if handled == count:
                done.set()

        async with app:
            began = time.perf_counter()
            await send_all(queue, orders(count), senders=senders)
            sent = time.perf_counter()
            async with running(app):
                await done.wait()
            ended = time.perf_counter()
            stats = await queue.stats()
            assert (handled, stats.ready, stats.leased) == (count, 0, 0)
        return {
            "send": count / (sent - began),
            "handle": count / (ended - sent),
            "round": count / (ended - began),
        }

    return lambda folder: run(main(folder))


def by_hand(synchronous: Synchronous) -> Contender:
    def contend(folder: Path) -> Measures:
        queue, handled = ByHand(folder, synchronous), 0
        began = time.perf_counter()
        for batch in batches(list(orders(MANY)), SENDERS):
            queue.send(batch)
        sent = time.perf_counter()
        while claimed := queue.claim(CLAIMED):
            for _, _, order in claimed:
                assert order.quantity
                handled += 1
            with queue.connection as db:
                db.execute("BEGIN IMMEDIATE")
                queue.settle(claimed)
        ended = time.perf_counter()
        assert handled == MANY
        return {
            "send": MANY / (sent - began),
            "handle": MANY / (ended - sent),
            "round": MANY / (ended - began),
        }

    return contend


def figures(results: Results) -> Sequence[Figure]:
    found: list[Figure] = []
    for name in BENCHMARK.contenders:
        rates = results.of(name, "round")
        found.append(figure(f"queue.roundtrip.c256.{name.replace(' ', '.')}", rates, "/s"))
    return [*found, *_ratios(results, "full", ">= 8", ">= 0.4"), *_ratios(results, "normal")]


def _ratios(
    results: Results, durability: Durability, vs_peer: str | None = None, vs_raw: str | None = None
) -> Sequence[Figure]:
    name = "queue.roundtrip.c256" + ("" if durability == "full" else f".{durability}")
    ours, raw = f"isthmus {durability}", [f"by-hand {durability}"]
    peers = [f"{peer} {durability}" for peer in PEERS]
    return [
        figure(f"{name}.vs_best_peer", results.ratios(ours, peers, "round"), target=vs_peer),
        figure(f"{name}.vs_raw", results.ratios(ours, raw, "round"), target=vs_raw),
    ]


BENCHMARK = Benchmark(
    name="roundtrip",
    title=(
        "50,000 orders by 256 senders, then handled and settled, inbox included; peers have one "
        "caller and 1,500 (full: 400) orders; durability=full, as isthmus, huey and persist-queue "
        "have it unless told, and normal beside it"
    ),
    contenders={
        **{
            f"{name} normal": contender(peer, synchronous="NORMAL", count=1500)
            for name, peer in PEERS.items()
        },
        **{
            f"{name} full": contender(peer, synchronous="FULL", count=400)
            for name, peer in PEERS.items()
        },
        "by-hand normal": by_hand("NORMAL"),
        "by-hand full": by_hand("FULL"),
        "isthmus normal": isthmus("normal", count=MANY, senders=SENDERS),
        "isthmus full": isthmus("full", count=MANY, senders=SENDERS),
    },
    figures=figures,
)
