"""When something is missing, and when it only looks so."""

import msgspec
import pytest
from tests.flows.fulfilment import Cancelled, Placed, Reserved, Shop
from tests.stores import Stores

from isthmus import App
from isthmus.flows import CompensationFailed, Course
from isthmus.handling.running.controls import pause, resume


async def test_what_came_in_time_but_was_not_seen_yet_is_not_missing(
    shop: Shop, engine: str
) -> None:
    async with shop.app.test(engine=engine) as t:
        await shop.placed.publish(Placed("A-1"))
        await t.settle()
        await shop.reserved["flow-fulfilment"].pause()
        await t.advance(30)
        await shop.reserved.publish(Reserved("A-1"))
        await t.advance(90)
        assert t.sent(shop.cancelled) == []
        await shop.reserved["flow-fulfilment"].resume()
        await t.advance(5)
        status = await shop.flow.status("A-1")
        assert t.sent(shop.cancelled) == []
    assert (status.status, list(status.waits_for)) == ("running", ["charged", "shipped"])


async def test_what_is_published_with_a_delay_holds_nothing_up(shop: Shop, engine: str) -> None:
    async with shop.app.test(engine=engine) as t:
        await shop.placed.publish(Placed("A-1"))
        await shop.reserved.publish(Reserved("A-1"), delay=1000)
        await t.advance(61)
        assert t.sent(shop.cancelled) == [Cancelled("A-1", "reserved")]


async def test_a_compensation_that_fails_is_tried_until_it_works(
    caplog: pytest.LogCaptureFixture, engine: str
) -> None:
    shop, fails = Shop(), [True, True, False]

    @shop.flow.compensation(shop.cancelled)
    def cancel(course: Course) -> Cancelled:
        if fails.pop(0):
            raise ValueError("no such order")
        return Cancelled(course[shop.placed].order, "at last")

    shop.flow.begins(shop.placed)
    shop.flow.expects(shop.reserved, within=60, otherwise=[shop.release, cancel])
    told: list[CompensationFailed] = []
    shop.app.signals.listen(CompensationFailed, told.append)
    async with shop.app.test(engine=engine) as t:
        await shop.placed.publish(Placed("A-1"))
        await t.advance(60.5)
        assert (await shop.flow.status("A-1")).status == "running"
        await t.advance(10)
        assert t.sent(shop.cancelled) == [Cancelled("A-1", "at last")]
        assert (await shop.flow.status("A-1")).status == "timed_out"
    assert [(each.missing, each.attempt, each.delay) for each in told] == [
        ("reserved", 1, 1.0),
        ("reserved", 2, 2.0),
    ]
    assert told[0].error == "ValueError: no such order"
    assert "flow fulfilment/A-1: reserved is missing, and what compensates failed" in caplog.text


async def test_deadlines_of_a_paused_flow_wait(shop: Shop, engine: str) -> None:
    async with shop.app.test(engine=engine) as t:
        await shop.placed.publish(Placed("A-1"))
        await t.settle()
        await pause(t.host.store, "fulfilment")
        await t.advance(100)
        assert t.sent(shop.cancelled) == []
        await resume(t.host.store, "fulfilment")
        await t.advance(2)
        assert t.sent(shop.cancelled) == [Cancelled("A-1", "reserved")]


async def test_a_deadline_counts_from_when_the_flow_saw_what_comes_before(
    shop: Shop, engine: str
) -> None:
    async with shop.app.test(engine=engine) as t:
        await shop.placed["flow-fulfilment"].pause()
        await t.settle()  # until who takes messages has heard of it
        await shop.placed.publish(Placed("A-1"))
        await t.advance(100)
        await shop.placed["flow-fulfilment"].resume()
        await t.advance(50)
        assert (await shop.flow.status("A-1")).status == "running"
        await t.advance(15)
        assert (await shop.flow.status("A-1")).status == "timed_out"


async def test_what_a_release_no_longer_expects_is_not_missing(sql_stores: Stores) -> None:
    def app(*, asks: bool) -> Shop:
        shop = Shop()
        shop.flow.begins(shop.placed)
        if asks:
            shop.flow.expects(shop.reserved, within=60, otherwise=[shop.cancel])
        shop.flow.ends(shop.shipped, within=600)
        return shop

    old, new, engine = app(asks=True), app(asks=False), sql_stores("shop")
    async with old.app.test(engine=engine) as t:
        await old.placed.publish(Placed("A-1"))
        await t.settle()
    async with new.app.test(engine=engine) as t:
        await t.advance(100)
        status = await new.flow.status("A-1")
        assert t.sent(new.cancelled) == []
    assert (status.status, list(status.waits_for)) == ("running", ["shipped"])


class Opened(msgspec.Struct, frozen=True):
    ticket: str


class Solved(msgspec.Struct, frozen=True):
    ticket: str


class Escalated(msgspec.Struct, frozen=True):
    ticket: str


async def test_types_of_one_topic_are_events_of_their_own(engine: str) -> None:
    app = App("desk")
    tickets = app.topic("tickets", Opened, Solved, Escalated)
    flow = app.flow("ticket", key=lambda event: event.ticket)

    @flow.compensation((tickets, Escalated))
    def escalate(course: Course) -> Escalated:
        assert (tickets, Solved) not in course
        assert course.get((tickets, Solved)) is None
        return Escalated(course[tickets, Opened].ticket)

    flow.begins((tickets, Opened))
    flow.ends((tickets, Solved), within=60, otherwise=[escalate])
    async with app.test(engine=engine) as t:
        await tickets.publish(Opened("1"))
        await tickets.publish(Opened("2"))
        await tickets.publish(Solved("2"))
        await t.advance(61)
        assert t.sent(tickets)[3:] == [Escalated("1")]
        one, two = [await flow.status(key) for key in ("1", "2")]
    assert (one.status, two.status) == ("timed_out", "completed")
    assert [each.event for each in one.timeline] == ["Opened", "Escalated"]
