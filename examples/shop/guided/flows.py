"""Scenes of the choreographed style: completed, and timed out."""

from guided.guide import Guide
from guided.service import SHIPPED_WITHIN
from guided.visitor import Visitor

__all__ = ["choreographed", "lost_parcel", "timed_out"]

PAGE = "docs/patterns/choreography.md"


async def lost_parcel(visitor: Visitor) -> None:
    """Order to where nothing arrives: its time is over later in the tour."""
    await visitor.order("atlantis-1", "choreographed", customer="carla", to="Atlantis")


async def choreographed(guide: Guide, visitor: Visitor) -> None:
    guide.stop("The same without anybody in charge", PAGE)
    guide.say(
        """
        Orders, stock, billing and shipping react to each other's events, and do what the steps of
        the saga do: examples/shop/fulfilment/choreographed.py. A flow says what is expected of
        the events: watching.py beside it.
        """
    )
    await visitor.order("chair-1", "choreographed", customer="carla", sku="chair", total=9900)
    await visitor.flow("chair-1", "completed", "timed_out")
    await guide.show("flows", "show", "order/chair-1")


async def timed_out(guide: Guide, visitor: Visitor) -> None:
    guide.stop("An event that is missing", PAGE)
    guide.say(
        f"""
        When this tour began, Carla ordered to Atlantis. The courier was not heard of again, so no
        event says `shipped`. After {SHIPPED_WITHIN} s the flow says `abandoned` of it,
        orders cancels, and stock and billing undo what they did.
        """
    )
    await visitor.flow("atlantis-1", "timed_out")
    await guide.show("flows", "show", "order/atlantis-1")
    await guide.show("flows")
