"""What a flow promises, on virtual time."""

from typing import Any

import pytest
from tests.flows.fulfilment import (
    Cancelled,
    Charged,
    Placed,
    Refused,
    Released,
    Reserved,
    Shipped,
    Shop,
)
from tests.stores import Stores

from isthmus import NotFoundError
from isthmus.flows import (
    FlowAdvanced,
    FlowEnded,
    FlowEventLate,
    FlowTimedOut,
)


def heard(shop: Shop, *kinds: type[Any]) -> list[Any]:
    told: list[Any] = []
    for kind in kinds:
        shop.app.signals.listen(kind, told.append)
    return told


async def test_a_flow_whose_events_all_come_is_completed(shop: Shop, engine: str) -> None:
    told = heard(shop, FlowAdvanced, FlowEnded)
    async with shop.app.test(engine=engine) as t:
        await shop.placed.publish(Placed("A-1"))
        await t.settle()
        begun = await shop.flow.status("A-1")
        await shop.reserved.publish(Reserved("A-1"))
        await t.settle()
        await shop.charged.publish(Charged("A-1"))
        await t.advance(5)
        await shop.shipped.publish(Shipped("A-1"))
        await t.advance(1000)
        status = await shop.flow.status("A-1")
        assert t.sent(shop.cancelled) == []
    assert begun.status == "running"
    assert begun.waits_for == {"reserved": begun.begun_at + 60, "shipped": begun.begun_at + 600}
    assert status.status == "completed"
    assert [each.event for each in status.timeline] == ["placed", "reserved", "charged", "shipped"]
    assert status.waits_for == {}
    assert [type(each).__name__ for each in told] == [*["FlowAdvanced"] * 4, "FlowEnded"]
    assert (told[-1].status, told[-1].took) == ("completed", 5.0)


async def test_a_missing_event_is_a_timeout_and_its_compensation_is_published_once(
    shop: Shop, engine: str
) -> None:
    told = heard(shop, FlowTimedOut, FlowEnded)
    async with shop.app.test(engine=engine) as t:
        id_ = await shop.placed.publish(Placed("A-1"))
        await t.advance(59)
        assert t.sent(shop.cancelled) == []
        await t.advance(1.5)
        assert t.sent(shop.cancelled) == [Cancelled("A-1", "reserved")]
        await t.advance(1000)
        assert t.sent(shop.cancelled) == [Cancelled("A-1", "reserved")]
        (message,) = t.messages(shop.cancelled)
        status = await shop.flow.status("A-1")
    assert (message.correlation_id, message.causation_id, message.key) == (id_, id_, "A-1")
    assert (status.status, status.missed) == ("timed_out", ("reserved",))
    assert status.reason == "reserved did not come within 60 s"
    assert [(each.event, each.compensates) for each in status.timeline] == [
        ("placed", False),
        ("cancelled", True),
    ]
    timed_out, ended = told
    assert (timed_out.missing, timed_out.compensations) == ("reserved", ("cancelled",))
    assert ended.status == "timed_out"


async def test_compensations_are_made_of_what_was_seen(shop: Shop, engine: str) -> None:
    async with shop.app.test(engine=engine) as t:
        await shop.placed.publish(Placed("A-1"))
        await shop.reserved.publish(Reserved("A-1", shelf=7))
        await t.advance(121)
        assert t.sent(shop.released) == [Released("A-1", 7)]
        assert t.sent(shop.cancelled) == [Cancelled("A-1", "charged")]


async def test_a_compensation_that_makes_nothing_publishes_nothing(shop: Shop, engine: str) -> None:
    shop = Shop()
    shop.flow.begins(shop.placed)
    shop.flow.expects(shop.charged, within=60, otherwise=[shop.release])
    async with shop.app.test(engine=engine) as t:
        await shop.placed.publish(Placed("A-1"))
        await t.advance(61)
        assert t.sent(shop.released) == []
        assert (await shop.flow.status("A-1")).status == "timed_out"


async def test_a_flow_that_is_failed_waits_for_nothing(shop: Shop, engine: str) -> None:
    async with shop.app.test(engine=engine) as t:
        await shop.placed.publish(Placed("A-1"))
        await shop.reserved.publish(Reserved("A-1"))
        await shop.refused.publish(Refused("A-1"))
        await t.advance(1000)
        status = await shop.flow.status("A-1")
        assert t.sent(shop.cancelled) == []
    assert (status.status, status.reason) == ("failed", "refused came")


async def test_what_has_to_follow_a_failure_may_be_expected_too(engine: str) -> None:
    shop = Shop()
    shop.declare()
    shop.flow.expects(shop.released, after=shop.refused, within=30, otherwise=[shop.cancel])
    async with shop.app.test(engine=engine) as t:
        for order in ("A-1", "A-2"):
            await shop.placed.publish(Placed(order))
            await shop.refused.publish(Refused(order))
        await t.settle()
        assert (await shop.flow.status("A-1")).status == "compensating"
        assert list((await shop.flow.status("A-1")).waits_for) == ["released"]
        await shop.released.publish(Released("A-1"))
        await t.advance(31)
        one, other = [await shop.flow.status(key) for key in ("A-1", "A-2")]
        assert t.sent(shop.cancelled) == [Cancelled("A-2", "released")]
    assert (one.status, one.missed) == ("failed", ())
    assert (other.status, other.missed) == ("timed_out", ("released",))
    assert other.reason == "refused came; released did not come within 30 s"


async def test_what_has_to_follow_a_compensation_event_may_be_expected_too(engine: str) -> None:
    shop = Shop()
    shop.flow.begins(shop.placed)
    shop.flow.expects(shop.reserved, within=60, otherwise=[shop.cancel])
    shop.flow.expects(shop.released, after=shop.cancelled, within=30)
    async with shop.app.test(engine=engine) as t:
        await shop.placed.publish(Placed("A-1"))
        await t.advance(61)
        between = await shop.flow.status("A-1")
        await shop.released.publish(Released("A-1"))
        await t.settle()
        status = await shop.flow.status("A-1")
    assert (between.status, list(between.waits_for)) == ("compensating", ["released"])
    assert (status.status, status.missed) == ("timed_out", ("reserved",))


async def test_an_event_that_comes_before_what_it_follows_is_kept(shop: Shop, engine: str) -> None:
    async with shop.app.test(engine=engine) as t:
        await shop.charged.publish(Charged("A-1"))
        await shop.reserved.publish(Reserved("A-1"))
        await t.settle()
        early = await shop.flow.status("A-1")
        await shop.placed.publish(Placed("A-1"))
        await t.advance(300)
        begun = await shop.flow.status("A-1")
        await shop.shipped.publish(Shipped("A-1"))
        await t.settle()
        assert (await shop.flow.status("A-1")).status == "completed"
        assert t.sent(shop.cancelled) == []
    assert (early.status, early.begun_at) == ("early", 0.0)
    assert (begun.status, list(begun.waits_for)) == ("running", ["shipped"])


async def test_the_end_ends_it_whatever_is_still_expected(shop: Shop, engine: str) -> None:
    async with shop.app.test(engine=engine) as t:
        await shop.placed.publish(Placed("A-1"))
        await shop.shipped.publish(Shipped("A-1"))
        await t.advance(3600)
        assert t.sent(shop.cancelled) == []
        assert (await shop.flow.status("A-1")).status == "completed"


async def test_the_same_message_twice_is_seen_once(shop: Shop, engine: str) -> None:
    async with shop.app.test(engine=engine) as t:
        await shop.placed.publish(Placed("A-1"), id="once")
        await shop.placed.publish(Placed("A-1"), id="once")
        await shop.placed.publish(Placed("A-1"), id="again")
        await t.settle()
        assert [each.id for each in (await shop.flow.status("A-1")).timeline] == ["once", "again"]


async def test_a_late_event_is_recorded_and_told(shop: Shop, engine: str) -> None:
    told = heard(shop, FlowEventLate)
    async with shop.app.test(engine=engine) as t:
        await shop.placed.publish(Placed("A-1"))
        await t.advance(61)
        await shop.reserved.publish(Reserved("A-1"))
        await t.settle()
        status = await shop.flow.status("A-1")
    assert status.status == "timed_out"
    assert [(each.event, each.late) for each in status.timeline][-1] == ("reserved", True)
    assert [(each.event, each.key, each.status) for each in told] == [
        ("reserved", "A-1", "timed_out")
    ]


async def test_flows_are_listed_by_status(shop: Shop, engine: str) -> None:
    async with shop.app.test(engine=engine) as t:
        for order in ("A-1", "A-2", "A-3"):
            await shop.placed.publish(Placed(order))
        await shop.shipped.publish(Shipped("A-2"))
        await t.settle()
        running = await shop.flow.list(status="running")
        (completed,) = await shop.flow.list(status="completed")
        beyond = await shop.flow.list(status="running", after="A-1", limit=1)
        assert await shop.flow.list(status="early") == []
    assert [each.key for each in running] == ["A-1", "A-3"]
    assert [each.key for each in beyond] == ["A-3"]
    assert (completed.flow, completed.key, completed.status) == ("fulfilment", "A-2", "completed")


async def test_a_flow_that_ended_is_dropped_after_its_retention(engine: str) -> None:
    shop = Shop(retention=600)
    shop.declare()
    async with shop.app.test(engine=engine) as t:
        await shop.placed.publish(Placed("A-1"))
        await shop.shipped.publish(Shipped("A-1"))
        await t.advance(590)
        assert (await shop.flow.status("A-1")).status == "completed"
        await t.advance(100)
        with pytest.raises(NotFoundError, match="saw nothing of 'A-1'"):
            await shop.flow.status("A-1")
        assert await shop.flow.list(status="completed") == []
        left = [
            entry
            for space in (
                "isthmus.flows",
                "isthmus.flow/fulfilment",
                "isthmus.flow-events/fulfilment",
            )
            for entry in await t.host.store.scan(space)
        ]
    assert left == []


async def test_nothing_waits_once_a_flow_has_ended(shop: Shop, engine: str) -> None:
    async with shop.app.test(engine=engine) as t:
        await shop.placed.publish(Placed("A-1"))
        await t.settle()
        waiting = await t.host.queue.stats("isthmus.flow.fulfilment", "due")
        await shop.shipped.publish(Shipped("A-1"))
        await t.settle()
        ended = await t.host.queue.stats("isthmus.flow.fulfilment", "due")
    assert (waiting.delayed, ended.delayed, ended.ready) == (2, 0, 0)


async def test_by_default_what_is_correlated_belongs_together(engine: str) -> None:
    shop = Shop()
    flow = shop.app.flow("chain")
    flow.begins(shop.placed)
    flow.ends(shop.shipped)

    @shop.placed.subscription("stock")
    async def reserve(event: Placed) -> None:
        await shop.reserved.publish(Reserved(event.order))

    @shop.reserved.subscription("shipping")
    async def ship(event: Reserved) -> None:
        await shop.shipped.publish(Shipped(event.order))

    shop.declare()
    async with shop.app.test(engine=engine) as t:
        id_ = await shop.placed.publish(Placed("A-1"))
        await t.settle()
        status = await flow.status(id_)
    assert (status.status, status.correlation) == ("completed", id_)
    assert [each.event for each in status.timeline] == ["placed", "shipped"]


async def test_an_event_without_a_key_belongs_to_no_flow(engine: str) -> None:
    shop = Shop()
    flow = shop.app.flow("some", key=lambda event: event.order if event.order != "-" else None)
    flow.begins(shop.placed)
    flow.ends(shop.shipped)
    shop.declare()
    async with shop.app.test(engine=engine) as t:
        await shop.placed.publish(Placed("-"))
        await t.settle()
        assert await flow.list(status="running") == []


async def test_events_that_meet_are_each_seen_and_told_once(shop: Shop, sql_stores: Stores) -> None:
    told, engine = heard(shop, FlowAdvanced), sql_stores("shop")
    async with shop.app.test(engine=engine) as t:
        for _ in range(20):
            await shop.placed.publish(Placed("A-1"))
            await shop.reserved.publish(Reserved("A-1"))
            await shop.charged.publish(Charged("A-1"))
        await t.settle()
        status = await shop.flow.status("A-1")
    assert len(status.timeline) == 60
    assert sorted(each.message for each in told) == sorted(each.id for each in status.timeline)
