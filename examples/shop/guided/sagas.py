"""Scenes of the orchestrated style: completed, compensated, killed and resumed, stuck."""

from guided.guide import Guide
from guided.visitor import Visitor
from isthmus.sagas.events import Begun

__all__ = ["compensated", "completed", "killed", "stuck"]

PAGE = "docs/patterns/saga.md"


async def completed(guide: Guide, visitor: Visitor) -> None:
    guide.stop("A saga that is completed", PAGE)
    guide.say(
        """
        An order is a saga: create, reserve, charge, book, ship. One function says so, and what
        undoes each step: examples/shop/fulfilment/orchestrated.py
        """
    )
    await visitor.order("lamp-1")
    await visitor.saga("lamp-1", "completed")
    await guide.show("sagas", "show", "fulfil/lamp-1")


async def compensated(guide: Guide, visitor: Visitor) -> None:
    guide.stop("Sagas that are compensated", PAGE)
    guide.say(
        """
        There is no unicorn; Bert's card is declined; and no parcel gets to the moon, which shows
        only when the card is charged. What was done is undone, the last first: the money goes
        back, then the piece to its shelf.
        """
    )
    await visitor.order("unicorn-1", sku="unicorn")
    await visitor.order("declined-1", customer="bert", card="declined")
    await visitor.order("moon-1", to="the moon")
    for number in ("unicorn-1", "declined-1", "moon-1"):
        status = await visitor.saga(number, "compensated")
        guide.note(f"{number}: {status.status}, {status.error}")
    await guide.show("sagas", "show", "fulfil/moon-1")


async def killed(guide: Guide, visitor: Visitor) -> None:
    guide.stop("A saga whose process is killed, and that goes on where it was", PAGE)
    guide.say(
        """
        The provider stalls: it charges, and answers when nobody waits any more. In the middle of
        that call, both workers are killed with SIGKILL.
        """
    )
    await visitor.become("stalling")
    await visitor.order("desk-1", sku="desk", total=19900)
    await visitor.until("a charge begins", lambda: charge_began(visitor, "desk-1"))
    await guide.show("sagas", "show", "fulfil/desk-1")
    calls = await visitor.calls_for("desk-1")

    async def called() -> bool:
        return await visitor.calls_for("desk-1") > calls

    await visitor.until("another attempt is on its way", called)
    pids = visitor.service.kill_all_workers()
    guide.note(f"kill -9 {' '.join(map(str, pids))}; nobody has the saga in hand now")
    await visitor.become("well")
    guide.note("the provider is well again, and the supervisor starts two workers anew")
    await visitor.saga("desk-1", "completed")
    await guide.show("sagas", "show", "fulfil/desk-1")
    charges = [order for order, _ in (await visitor.books())["done"]].count("desk-1")
    calls = await visitor.calls_for("desk-1")
    guide.say(
        f"""
        Create and reserve were not done again. Charge was: asked {calls} times under one key, the
        provider charged {charges} time.
        """
    )


async def stuck(guide: Guide, visitor: Visitor) -> None:
    guide.stop("A saga that is stuck, until a person resumes it", PAGE)
    guide.say(
        """
        Another parcel for the moon, and once the card is charged the provider fails: the refund
        fails for good. The saga says what it is stuck at. Somebody mends that, and resumes it.
        """
    )
    await visitor.become("failing", at=len((await visitor.books())["done"]) + 1)
    await visitor.order("moon-2", to="the moon", total=7700)
    await visitor.saga("moon-2", "stuck")
    await guide.show("sagas", "list", "--status", "stuck")
    await visitor.become("well")
    guide.note("the provider is well again")
    await guide.show("sagas", "resume", "fulfil/moon-2")
    await visitor.saga("moon-2", "compensated")
    await guide.show("sagas", "show", "fulfil/moon-2")


async def charge_began(visitor: Visitor, number: str) -> bool:
    """Whether the saga asked the provider, and was charged, and does not know it."""
    from fulfilment.orchestrated import fulfil

    history = await fulfil.handle(number).history()
    begun = any(isinstance(event, Begun) and event.name == "charge" for event in history)
    return begun and number in [order for order, _ in (await visitor.books())["done"]]
