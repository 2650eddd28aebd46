"""Events in any order, doubled and lost: each flow ends as a plain model of it says."""

import asyncio
import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from math import inf
from typing import Any, NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.flows.fulfilment import Charged, Placed, Refused, Reserved, Shipped, Shop
from tests.stores import Stores

from isthmus.flows import FlowAdvanced, FlowEventLate

EVENTS: Mapping[str, Any] = {
    "placed": Placed,
    "reserved": Reserved,
    "charged": Charged,
    "refused": Refused,
    "shipped": Shipped,
}
WITHIN = {"reserved": 60.0, "charged": 120.0, "shipped": 600.0}
AFTER = {"reserved": "placed", "charged": "reserved", "shipped": "placed"}
ORDERS = ("A-1", "A-2")


class Happening(NamedTuple):
    """One publishing of one event; `again` publishes it under the same id, too."""

    at: float
    order: str
    event: str
    again: bool


class End(NamedTuple):
    status: str
    missing: str = ""
    reserved: bool = False


def end_of(happenings: Sequence[tuple[float, str]]) -> End:
    """The model: what is to become of one order, of which these events are seen."""
    seen, due = dict[str, float](), dict[str, float]()
    for at, event in [*happenings, (inf, "")]:
        missing = min(due, key=lambda name: due[name], default="")
        if missing and due[missing] < at:
            return End("timed_out", missing, "reserved" in seen)
        if not event:
            break
        seen.setdefault(event, at)
        if "placed" not in seen:
            continue
        for name in seen:
            if name in {"refused", "shipped"}:
                return End("failed" if name == "refused" else "completed")
        for name, within in WITHIN.items():
            if name in seen:
                due.pop(name, None)
            elif AFTER[name] in seen:
                due.setdefault(name, at + within)
    return End("early" if seen else "")


@st.composite
def scripts(draw: st.DrawFn) -> Sequence[Happening]:
    """Each event of each order none, one or several times; no two things at one moment."""
    wanted = draw(
        st.lists(
            st.tuples(
                st.integers(0, 15),
                st.sampled_from(ORDERS),
                st.sampled_from(list(EVENTS)),
                st.booleans(),
            ),
            min_size=1,
            max_size=14,
        )
    )
    placed = [(draw(st.integers(0, 5)), order, "placed", False) for order in ORDERS]
    chosen = [*wanted, *(each for each in placed if draw(st.integers(0, 5)))]
    return sorted(
        Happening(10 * at + place * 0.0137, order, event, again)
        for place, (at, order, event, again) in enumerate(chosen)
    )


async def play(
    script: Sequence[Happening], engine: str
) -> tuple[Mapping[str, Any], Mapping[str, list[str]]]:
    """Return how each order stands in the end, and which compensations were published for it."""
    shop = Shop()
    shop.declare()
    async with shop.app.test(engine=engine) as t:
        begun = t.clock.now()
        for place, each in enumerate(script):
            await t.advance(begun + each.at - t.clock.now())
            topic = getattr(shop, each.event)
            for _ in range(2 if each.again else 1):
                await topic.publish(EVENTS[each.event](each.order), id=f"m-{place}")
            await t.settle()
        await t.advance(700)
        stands = {}
        for order in {each.order for each in script}:
            stands[order] = await shop.flow.status(order)
        published = {
            order: [
                *("cancelled" for event in t.sent(shop.cancelled) if event.order == order),
                *("released" for event in t.sent(shop.released) if event.order == order),
            ]
            for order in stands
        }
    return stands, published


numbers = itertools.count()
MANY = {"memory": 1.0, "postgresql": 0.2}
"""How many of the examples are tried there."""


def test_each_flow_ends_as_the_model_says(memory_stores: Stores) -> None:
    @given(scripts())
    @settings(max_examples=int(40 * MANY[memory_stores.kind]))
    def whatever_comes(script: Sequence[Happening]) -> None:
        ends_as_the_model_says(script, memory_stores.alone(f"flow-{next(numbers)}"))

    whatever_comes()


def ends_as_the_model_says(script: Sequence[Happening], engine: str) -> None:
    stands, published = asyncio.run(play(script, engine))
    for order, status in stands.items():
        end = end_of([(each.at, each.event) for each in script if each.order == order])
        assert status.status == end.status
        assert list(status.missed) == ([end.missing] if end.missing else [])
        assert published[order] == compensations(end)
        ours = [place for place, each in enumerate(script) if each.order == order]
        seen = {each.id for each in status.timeline if not each.compensates}
        assert seen == {f"m-{place}" for place in ours}


def compensations(end: End) -> list[str]:
    if end.status != "timed_out":
        return []
    released = end.reserved and end.missing in {"charged", "shipped"}
    return ["cancelled", "released"] if released else ["cancelled"]


async def rush(
    script: Sequence[Happening], engine: str
) -> tuple[Mapping[str, Any], Mapping[str, int]]:
    """Publish all at once: the topics are followed side by side."""
    shop, told = Shop(), Counter[str]()
    shop.declare()
    for kind in (FlowAdvanced, FlowEventLate):
        shop.app.signals.listen(kind, lambda fact: told.update([fact.key]))
    async with shop.app.test(engine=engine) as t:
        for each in script:
            await getattr(shop, each.event).publish(EVENTS[each.event](each.order))
        await t.advance(700)
        orders = {each.order for each in script}
        stands = {order: await shop.flow.status(order) for order in orders}
        cancelled = [event.order for event in t.sent(shop.cancelled)]
    assert told == Counter(each.order for each in script), "each is told once, whatever conflicts"
    return stands, {order: cancelled.count(order) for order in orders}


def test_events_that_come_all_at_once_are_each_seen(memory_stores: Stores) -> None:
    @given(scripts())
    @settings(max_examples=int(25 * MANY[memory_stores.kind]))
    def whatever_comes(script: Sequence[Happening]) -> None:
        are_each_seen(script, memory_stores.alone(f"flow-{next(numbers)}"))

    whatever_comes()


def are_each_seen(script: Sequence[Happening], engine: str) -> None:
    stands, cancelled = asyncio.run(rush(script, engine))
    for order, status in stands.items():
        events = [each.event for each in script if each.order == order]
        seen = [each.event for each in status.timeline if not each.compensates]
        assert sorted(seen) == sorted(events)
        if "placed" not in events:
            assert status.status == "early"
        elif not {"refused", "shipped"} & set(events):
            assert status.status == "timed_out"
        else:
            assert status.status in {"completed", "failed"}
        assert cancelled[order] == (status.status == "timed_out")
