"""What a topic and its subscriptions promise, on memory and virtual time."""

import msgspec
import pytest

from isthmus import App, ConfigError, Message, Retry
from isthmus import schema as named
from isthmus.handling.running.ephemeral import Ephemeral


@named("test.placed", version=1)
class Placed(msgspec.Struct):
    id: str


@named("test.cancelled", version=1)
class Cancelled(msgspec.Struct):
    id: str
    why: str = ""


@pytest.fixture
def app() -> App:
    return App("shop")


async def test_every_subscription_gets_each_event_once(app: App) -> None:
    placed, seen = app.topic("placed", Placed), list[tuple[str, str]]()

    @placed.subscription("billing")
    async def bill(event: Placed) -> None:
        seen.append(("billing", event.id))

    @placed.subscription("mail")
    async def mail(event: Placed) -> None:
        seen.append(("mail", event.id))

    async with app.test() as t:
        await placed.publish(Placed("1"), id="1")
        await t.settle()
        await placed.publish(Placed("1"), id="1")
        await t.settle()
    assert sorted(seen) == [("billing", "1"), ("mail", "1")]


async def test_one_subscription_failing_delays_no_other(app: App) -> None:
    placed, mailed = app.topic("placed", Placed), list[str]()

    @placed.subscription("billing", retry=Retry(attempts=2, delay=1, jitter="none"))
    async def bill(event: Placed) -> None:
        raise ValueError("declined")

    @placed.subscription("mail")
    async def mail(event: Placed) -> None:
        mailed.append(event.id)

    async with app.test() as t:
        await placed.publish(Placed("1"))
        await t.settle()
        assert mailed == ["1"]
        await t.advance(10)
        assert await placed["billing"].dead_letters.count() == 1
        assert await placed["mail"].dead_letters.count() == 0


async def test_a_replayed_event_goes_only_where_it_died(app: App) -> None:
    placed, billed, mailed = app.topic("placed", Placed), list[str](), list[str]()
    broken = [True]

    @placed.subscription("billing", retry=Retry(attempts=1))
    async def bill(event: Placed) -> None:
        if broken[0]:
            raise ValueError("declined")
        billed.append(event.id)

    @placed.subscription("mail", inbox=1)
    async def mail(event: Placed) -> None:
        mailed.append(event.id)

    async with app.test() as t:
        await placed.publish(Placed("1"), id="1")
        await t.advance(5)
        broken[0] = False
        assert await placed["billing"].dead_letters.replay() == 1
        await t.settle()
    assert (billed, mailed) == (["1"], ["1"])


async def test_a_filter_lets_others_pass(app: App) -> None:
    placed, seen = app.topic("placed", Placed), list[str]()

    @placed.subscription("eu", where={"region": ["de", "fr"], "type": "test.placed"})
    async def handle(event: Placed) -> None:
        seen.append(event.id)

    async with app.test() as t:
        for region in ("de", "us", "fr"):
            await placed.publish(Placed(region), headers={"region": region})
        await placed.publish(Placed("none"))
        await t.settle()
        stats = await placed["eu"].stats()
    assert sorted(seen) == ["de", "fr"]
    assert (stats.ready, stats.leased) == (0, 0)


async def test_one_topic_carries_several_types(app: App) -> None:
    events, seen = app.topic("orders", Placed, Cancelled), list[Placed | Cancelled]()

    @events.subscription("all")
    async def handle(event: Placed | Cancelled) -> None:
        seen.append(event)

    async with app.test() as t:
        await events.publish(Placed("1"))
        await events.publish(Cancelled("1", "late"))
        await t.settle()
    assert seen == [Placed("1"), Cancelled("1", "late")]


async def test_a_subscriber_of_one_type_is_given_no_other(app: App) -> None:
    events, seen = app.topic("orders", Placed, Cancelled), list[Placed | Cancelled]()

    @events.subscription("cancelled")
    async def handle(event: Cancelled) -> None:
        seen.append(event)

    @events.subscription("placed", batch=10)
    async def handle_many(batch: list[Placed]) -> None:
        seen.extend(batch)

    async with app.test() as t:
        await events.publish(Placed("1"))
        await events.publish(Cancelled("2"))
        await t.settle()
        assert await events["cancelled"].dead_letters.count() == 0
    assert sorted(event.id for event in seen) == ["1", "2"]


async def test_an_event_carries_its_metadata(app: App) -> None:
    placed, seen = app.topic("placed", Placed), list[Message]()

    @placed.subscription("all")
    async def handle(event: Placed, message: Message) -> None:
        seen.append(message)

    async with app.test() as t:
        await placed.publish(Placed("1"), subject="orders/1")
        await t.settle()
        (message,) = seen
        assert message.time == t.clock.now()
    assert message.id
    assert message.cloudevent() == {
        "specversion": "1.0",
        "id": message.id,
        "source": "shop",
        "type": "test.placed",
        "subject": "orders/1",
        "time": "2023-11-14T22:13:20Z",
        "dataschema": "schema:test.placed/1",
        "datacontenttype": "application/json",
    }


async def test_the_trace_goes_on_in_what_a_handler_publishes(app: App) -> None:
    orders, placed = app.queue("orders", Placed), app.topic("placed", Placed)
    parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

    @orders.handler()
    async def accept(order: Placed) -> None:
        await placed.publish(order)

    async with app.test() as t:
        await orders.send(Placed("1"), headers={"traceparent": parent, "secret": "kept here"})
        await t.settle()
        (message,) = t.messages(placed)
    assert message.headers["traceparent"] == parent
    assert "secret" not in message.headers


async def test_a_listener_sees_what_is_published_while_it_listens(app: App) -> None:
    placed = app.topic("placed", Placed)
    async with app.test() as t:
        await placed.publish(Placed("before"))
        async with placed.listen() as events:
            await placed.publish(Placed("1"))
            await placed.publish(Placed("2"))
            assert [(await anext(events)).id, (await anext(events)).id] == ["1", "2"]
        assert len(await t.host.queue.subscriptions()) == 1


async def test_a_listener_that_died_is_swept_away(app: App) -> None:
    placed = app.topic("placed", Placed)
    async with app.test() as t:
        await Ephemeral(t.host).register("placed", "listener-dead", ttl=60)
        await t.host.queue.declare("placed", "listener-dead")
        async with placed.listen():
            await t.advance(200)
            left = {name for _, name in await t.host.queue.subscriptions()}
    assert "listener-dead" not in left
    assert len(left) == 2


async def test_an_unknown_subscription_names_the_known(app: App) -> None:
    placed = app.topic("placed", Placed)

    @placed.subscription("mail")
    async def mail(event: Placed) -> None: ...

    with pytest.raises(ConfigError, match="has no subscription 'male'; it has mail"):
        placed["male"]
