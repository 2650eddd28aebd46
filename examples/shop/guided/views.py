"""Scenes of reading: three read models of one log, and one of them built anew."""

import asyncio
from typing import Any

from guided.guide import Guide
from guided.visitor import Visitor

__all__ = ["read_models", "rebuilt"]


async def read_models(guide: Guide, visitor: Visitor) -> None:
    guide.stop("Three read models of one log", "docs/patterns/cqrs.md")
    guide.say(
        """
        What happened to orders is one log (docs/patterns/event-sourcing.md); what is read is made
        of it: a table, documents, words to be searched. examples/shop/orders/views.py
        """
    )
    position = await visitor.annotate("lamp-1", "a present for grandmother")
    guide.note(f"PUT /v1/orders/lamp-1/note was written at {position}: read after that")
    card = await visitor.get("/v1/orders/lamp-1", after=position)
    shown(guide, f"GET /v1/orders/lamp-1?after={position}", card)
    hits = await visitor.get("/v1/orders", text="grandm", after=position)
    shown(guide, f"GET /v1/orders?text=grandm&after={position}", hits[0])
    lines = await visitor.get("/v1/customers/anna/orders")
    shown(guide, f"GET /v1/customers/anna/orders, the first of {len(lines)}", lines[0])


def shown(guide: Guide, request: str, answer: Any) -> None:
    guide.note(request)
    told = ", ".join(f"{name} {value}" for name, value in answer.items() if value not in ("", 0))
    guide.say(f"  {told}")


async def rebuilt(guide: Guide, visitor: Visitor) -> None:
    guide.stop("A read model is built anew while it is read", "docs/patterns/cqrs.md")
    from orders.views import listed

    path, reads, wrong = "/v1/customers/anna/orders", 0, 0
    await listed.caught_up(timeout=60)
    before = await visitor.get(path)
    rebuilding = asyncio.create_task(
        guide.show("projections", "rebuild", "orders-by-customer", "--wait", "120")
    )
    while not rebuilding.done():
        wrong += await visitor.get(path) != before
        reads += 1
        await asyncio.sleep(0.01)
    await rebuilding
    await guide.show("projections")
    guide.check("read meanwhile", f"{reads} times, {wrong} of them not the same", holds=not wrong)
    if wrong:
        raise RuntimeError("a reader saw something else while it was built anew")
