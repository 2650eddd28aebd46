"""A crowd: orders in both styles, and both workers killed in the middle."""

import asyncio
import random
from typing import Any

from progress import Progress

from guided.guide import Guide
from guided.visitor import Visitor

__all__ = ["crowd"]

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
    guide.say(f"{orders} orders in each style, three of ten impossible. Half-way, kill -9 to all.")
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
    await all_ended(visitor)


def drawn(orders: int) -> list[dict[str, Any]]:
    draw = random.Random(11)
    return [
        {
            "id": f"{style[:5]}-{n}",
            "style": style,
            "customer": draw.choice(("anna", "bert", "carla", "dora")),
            "sku": draw.choice(("lamp", "chair", "desk")),
            "total": draw.randrange(100, 9000),
        }
        | draw.choice(SURPRISES)
        for n in range(orders)
        for style in ("orchestrated", "choreographed")
    ]


async def all_ended(visitor: Visitor) -> None:
    """Wait until nothing goes on any more."""
    ids = {style: [order["id"] for order in asked] for style, asked in visitor.asked.items()}
    with Progress("   ended", sum(map(len, ids.values()))) as ended:
        for number in ids["orchestrated"]:
            await visitor.saga(number, "completed", "compensated")
            ended.step()
        for number in ids["choreographed"]:
            await visitor.flow(number, "completed", "failed", "timed_out")
            ended.step()
