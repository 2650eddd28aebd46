"""What cannot be followed is refused where it is declared, and what is declared can be read."""

from collections.abc import Callable
from typing import Any, cast

import pytest
from tests.flows.fulfilment import Charged, Placed, Reserved, Shipped, Shop

from isthmus import App, ConfigError, Module, NotFoundError
from isthmus.flows import DeclaredFlow

Declaring = Callable[[Shop], object]

REFUSED: dict[str, Declaring] = {
    "'flow!' is not allowed": lambda shop: shop.app.flow("flow!"),
    "is declared twice": lambda shop: shop.app.flow("fulfilment"),
    "retention=0": lambda shop: shop.app.flow("other", retention=0),
    "within=-1": lambda shop: shop.flow.expects(shop.reserved, within=-1),
    "within='soon'": lambda shop: shop.flow.expects(shop.reserved, within="soon"),  # pyright: ignore[reportArgumentType]
    "name an event": lambda shop: shop.flow.begins(),
    "'placed' is no event": lambda shop: shop.flow.begins("placed"),  # pyright: ignore[reportArgumentType]
    "topic 'placed' does not carry": lambda shop: shop.flow.begins((shop.placed, Charged)),
    "given their event by @flow.compensation": lambda shop: shop.flow.expects(
        shop.reserved,
        within=1,
        otherwise=[cast("Any", Charged)],
    ),
}


@pytest.mark.parametrize("told", REFUSED)
def test_what_is_wrong_is_told_at_once(told: str) -> None:
    with pytest.raises(ConfigError) as refused:
        REFUSED[told](Shop())
    assert told in str(refused.value)


def test_an_event_has_one_place() -> None:
    shop = Shop()
    shop.flow.begins(shop.placed)
    for again in (shop.placed, (shop.placed, Placed)):
        with pytest.raises(ConfigError, match="has its place in it already"):
            shop.flow.expects(again, within=1)


def test_a_function_that_waits_makes_no_event() -> None:
    shop = Shop()

    async def cancel(_: object) -> None: ...

    with pytest.raises(ConfigError, match="is async"):
        shop.flow.compensation(shop.cancelled)(cancel)  # pyright: ignore[reportArgumentType]


def unbegun(shop: Shop) -> None:
    shop.flow.ends(shop.shipped)


def endless(shop: Shop) -> None:
    shop.flow.begins(shop.placed)


def unknown(shop: Shop) -> None:
    shop.flow.begins(shop.placed)
    shop.flow.expects(shop.reserved, within=1)
    shop.flow.expects(shop.charged, after=shop.shipped, within=1)


@pytest.mark.parametrize(
    ("declare", "told"),
    [
        (unbegun, "never begins"),
        (endless, "expects nothing after its beginning"),
        (unknown, "'charged' is expected after 'shipped', which has no place in it"),
    ],
)
async def test_a_flow_that_cannot_be_followed_does_not_open(
    declare: Declaring, told: str, engine: str
) -> None:
    shop = Shop()
    declare(shop)
    with pytest.raises(ConfigError, match=told):
        async with shop.app.test(engine=engine):
            pass


async def test_a_flow_is_complete_once_the_app_is_open(shop: Shop, engine: str) -> None:
    with pytest.raises(ConfigError, match="is not open"):
        await shop.flow.status("A-1")
    async with shop.app.test(engine=engine):
        with pytest.raises(ConfigError, match="changed after the App opened"):
            shop.flow.begins(shop.cancelled)
        with pytest.raises(ConfigError, match="status='over'"):
            await shop.flow.list(status="over")  # pyright: ignore[reportArgumentType]
        with pytest.raises(NotFoundError):
            await shop.flow.status("A-1")
        late = shop.app.flow("late")
        with pytest.raises(ConfigError, match="declared after the App opened"):
            await late.status("A-1")


async def test_a_key_that_is_no_text_buries_its_event(engine: str) -> None:
    shop = Shop()
    flow = shop.app.flow("wrong", key=lambda event: event.shelf or "x" * 201)
    flow.begins(shop.reserved)
    flow.ends(shop.charged)
    shop.declare()
    async with shop.app.test(engine=engine) as t:
        await shop.reserved.publish(Reserved("A-1", shelf=7))
        await shop.reserved.publish(Reserved("A-1", shelf=0))
        await t.settle()
        letters = await shop.reserved["flow-wrong"].dead_letters.list()
    assert len(letters) == 2
    assert all("a flow's key is a text of 200 letters at most" in each.reason for each in letters)


async def test_repeated_events_are_counted_and_the_oldest_kept(shop: Shop, engine: str) -> None:
    async with shop.app.test(engine=engine) as t:
        await shop.placed.publish(Placed("A-1"))
        for _ in range(205):
            await shop.reserved.publish(Reserved("A-1"))
        await shop.charged.publish(Charged("A-1"))
        await shop.shipped.publish(Shipped("A-1"))
        await t.settle()
        status = await shop.flow.status("A-1")
    assert status.status == "completed"
    assert len(status.timeline) + status.dropped == 208
    assert 200 <= len(status.timeline) <= 202
    assert {each.event for each in status.timeline} == {"placed", "reserved", "charged", "shipped"}


def test_a_flow_is_declared_with_all_that_it_expects(shop: Shop) -> None:
    record = shop.app.describe().find(DeclaredFlow, "fulfilment")
    assert list(record.begins) == ["placed"]
    assert list(record.fails) == ["refused"]
    assert list(record.topics) == ["placed", "reserved", "charged", "shipped", "refused"]
    told: list[Any] = [
        (tuple(each.events), tuple(each.after), each.within, each.ends, tuple(each.otherwise))
        for each in record.expects
    ]
    assert told == [
        (("reserved",), (), 60.0, False, ("cancelled",)),
        (("charged",), ("reserved",), 120.0, False, ("released", "cancelled")),
        (("shipped",), (), 600.0, True, ("released", "cancelled")),
    ]


async def test_a_module_may_declare_a_flow() -> None:
    shop, module = App("shop"), Module("orders")
    placed = module.topic("placed", Placed)
    shipped = module.topic("shipped", Shipped)
    flow = module.flow("fulfilment", key=lambda event: event.order)
    shop.include(module)
    flow.begins(placed)
    flow.ends(shipped)
    async with shop.test() as t:
        await placed.publish(Placed("A-1"))
        await shipped.publish(Shipped("A-1"))
        await t.settle()
        assert (await flow.status("A-1")).status == "completed"
