"""A crowd: orders in both styles, and both workers killed in the middle."""

import asyncio
import random
from collections.abc import Sequence
from functools import partial
from typing import Any

from progress import Progress

from guided.guide import Guide
from guided.visitor import Visitor

__all__ = ["all_ended", "crowd"]

CONCURRENCY = 8
SURPRISES: tuple[dict[str, Any], ...] = (
    *({},) * 7,
    {"sku": "unicorn"},
    {"card": "declined"},
    {"to": "the moon"},
)


async def crowd(guide: Guide, visitor: Visitor, orders: int) -> None:
    """Order so much in each style, and wait until all of it has ended."""
    guide.stop("A crowd, and another power cut", "docs/patterns/outbox-and-inbox.md")
    guide.say(f"{orders} orders in each style, three of ten impossible. Half-way, kill -9 to both.")
    everything = list(drawn(orders))
    sending = iter(everything)
    with Progress("   ordered", len(everything)) as sent:

        async def cut() -> None:
            await sent.reached(0.5)
            pids = visitor.service.kill_all_workers()
            sent.note(f"  kill -9 {' '.join(map(str, pids))}")

        async def customer() -> None:
            for words in sending:
                await visitor.order(**words)
                sent.step()

        async with asyncio.TaskGroup() as group:
            group.create_task(cut())
            for _ in range(CONCURRENCY):
                group.create_task(customer())
    await settled(visitor, [words["id"] for words in everything])


def drawn(orders: int) -> list[dict[str, Any]]:
    draw = random.Random(11)
    return [
        {
            "id": f"{style[0]}-{n}",
            "style": style,
            "customer": draw.choice(("anna", "bert", "carla", "dora")),
            "sku": draw.choice(("lamp", "chair", "desk")),
            "total": draw.randrange(100, 9000),
        }
        | draw.choice(SURPRISES)
        for n in range(orders)
        for style in ("orchestrated", "choreographed")
    ]


async def settled(visitor: Visitor, ids: Sequence[str]) -> None:
    """Wait until all of these are shipped or cancelled."""
    from orders.log import orders

    async def is_settled(order: str) -> bool:
        return (await orders.load(order)).state in {"shipped", "cancelled"}

    with Progress("   settled", len(ids)) as done:
        for each in ids:
            await visitor.until(f"order {each} is settled", partial(is_settled, each))
            done.step()


async def all_ended(visitor: Visitor) -> None:
    """Wait until no saga and no flow goes on any more."""
    for order in visitor.asked["orchestrated"]:
        await visitor.saga(order["id"], "completed", "compensated")
    for order in visitor.asked["choreographed"]:
        await visitor.flow(order["id"], "completed", "failed", "timed_out")
