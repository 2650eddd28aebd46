"""Microseconds of a message in each layer: measured alone, and what is left for the rest."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from bench.byhand import batches
from bench.contest import Benchmark, Measures, Results
from bench.figure import Figure, figure
from bench.order import Order, orders
from bench.ours import app_in, run, running, send_all
from isthmus.clock import SystemClock
from isthmus.contracts import Ack, Put, QueueEngine, StoreEngine
from isthmus.handling.envelope import Envelope
from isthmus.message import Message
from isthmus.schema import schema_of
from isthmus.schema.wire import Wire

COUNT, SENDERS, CLAIMED, HELD = 20_000, 256, 512, 60.0

LAYERS = {
    "schema": "encode and decode, its checks included",
    "envelope": "from value to message, without its encoding",
    "engine.send": "256 tasks that send a message each, at the engine",
    "send": "the same at the face: orders.send(order, id=...)",
    "engine.claim": "receive, 512 at a time",
    "engine.settle": "acknowledge, 512 at a time",
    "engine.inbox": "look for ids, then put them if absent, 512 at a time",
    "dispatch": "handle, without decoding, claim, settle and inbox",
    "handle": "all from the queue to the acknowledgement, in a running App",
}


async def _main(folder: Path) -> Measures:
    values, schema = list(orders(COUNT)), schema_of(Order)
    app, handled, done = app_in(folder, "normal"), 0, asyncio.Event()
    queue = app.queue("orders", Order)

    @queue.handler()
    async def handle(_: Order) -> None:
        nonlocal handled
        handled += 1
        if handled == COUNT:
            done.set()

    envelope = Envelope(
        Wire(schema, place="layers"), of="layers", source="bench", clock=SystemClock()
    )
    encoded = _timed(lambda: [schema.encode(value) for value in values])
    messages = [envelope.message(value, id=value.id) for value in values]
    decoded = _timed(lambda: [schema.decode(message.body) for message in messages])
    made = _timed(lambda: [envelope.message(value, id=value.id) for value in values])
    async with app:
        host = app.declarations.host
        engine = await _engine(host.queue, messages)
        inbox = await _awaited(lambda: _inbox(host.store, messages))
        sent = await _awaited(lambda: send_all(queue, values, senders=SENDERS))
        began = time.perf_counter()
        async with running(app):
            await done.wait()
        took = (time.perf_counter() - began) / COUNT * 1e6
    parts = decoded + engine["engine.claim"] + engine["engine.settle"] + inbox
    return {
        "schema": encoded + decoded,
        "envelope": made - encoded,
        **engine,
        "send": sent,
        "engine.inbox": inbox,
        "dispatch": took - parts,
        "handle": took,
    }


async def _engine(queue: QueueEngine, messages: Sequence[Message]) -> dict[str, float]:
    await queue.declare("layers", "layers")
    receiver = await queue.receiver("layers", "layers", limit=2 * COUNT, lease=HELD)
    left, claimed = iter(messages), list[Sequence[str]]()

    async def sender() -> None:
        for message in left:
            await queue.send("layers", (message,))

    async def send() -> None:
        await asyncio.gather(*(sender() for _ in range(SENDERS)))

    async def claim() -> None:
        while found := await receiver.receive(CLAIMED, wait=0.0):
            claimed.append([delivery.receipt for delivery in found])

    async def settle() -> None:
        for receipts in claimed:
            await receiver.settle([Ack(receipt) for receipt in receipts])

    return {
        "engine.send": await _awaited(send),
        "engine.claim": await _awaited(claim),
        "engine.settle": await _awaited(settle),
    }


async def _inbox(store: StoreEngine, messages: Sequence[Message]) -> None:
    for batch in batches(messages, CLAIMED):
        ids = [message.id for message in batch]
        assert not await store.get("inbox/layers", ids)
        await store.put("inbox/layers", [Put(each, b"", 0, 3600.0) for each in ids])


def _timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return (time.perf_counter() - began) / COUNT * 1e6


async def _awaited(work: Callable[[], Awaitable[None]]) -> float:
    began = time.perf_counter()
    await work()
    return (time.perf_counter() - began) / COUNT * 1e6


def figures(results: Results) -> Sequence[Figure]:
    return [figure(f"layer.{name}", results.of("isthmus", name), "us") for name in LAYERS]


BENCHMARK = Benchmark(
    name="layers",
    title="microseconds of one message; durability=normal\n"
    + "\n".join(f"  {name:14} {meaning}" for name, meaning in LAYERS.items()),
    contenders={"isthmus": lambda folder: run(_main(folder))},
    figures=figures,
    rounds=5,
)
