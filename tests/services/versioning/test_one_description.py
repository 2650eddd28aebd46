"""One class describes a change for REST requests and answers, events, and webhooks."""

from typing import Any

import msgspec
import pytest

from isthmus import App, Message, SchemaError, Versions, schema
from isthmus.errors import ConfigError
from isthmus.handling.calling.batch import Batch
from isthmus.schema import schema_of
from isthmus.versions import HEADER


@schema("versioned.order", version=1)
class OrderV1(msgspec.Struct):
    id: str
    total: str


@schema("versioned.order", version=2)
class Order(msgspec.Struct):
    id: str
    total: int


class Plain(msgspec.Struct):
    id: str
    total: int


class PlainV1(msgspec.Struct):
    id: str
    total: str


class Cents:
    def upgrade(self, old: dict[str, Any]) -> dict[str, Any]:
        return {**old, "total": round(float(old["total"]) * 100)}

    def downgrade(self, new: dict[str, Any]) -> dict[str, Any]:
        return {**new, "total": f"{new['total'] / 100:.2f}"}


VERSIONS = Versions("v2", "v1")


@VERSIONS.change("v2", Order)
class TotalInCents(Cents):
    """Totals are in cents, not in a decimal string."""

    was = OrderV1


@VERSIONS.change("v2", Plain)
class PlainInCents(Cents):
    was = PlainV1


NEW, OLD = {"id": "a", "total": 1250}, {"id": "a", "total": "12.50"}


async def test_one_class_serves_requests_answers_events_and_webhooks(serve: Any) -> None:
    app, seen = App("shop"), list[Order]()
    app.versions(VERSIONS)
    accepted = app.topic("accepted", Order)

    @app.post("/orders")
    async def take(order: Order) -> Order:
        return order

    @accepted.subscription("mail")
    async def mail(order: Order) -> None:
        seen.append(order)

    async with serve(app.declarations) as s:
        answer = await s.client.post("/v1/orders", json=OLD)
        assert answer.json() == OLD
    async with app.test() as t:
        old = Message(
            body=msgspec.json.encode(OLD),
            type="versioned.order",
            dataschema="schema:versioned.order/1",
        )
        await t.host.queue.send("accepted", [old])
        await t.settle()
    assert seen == [Order("a", 1250)]
    assert msgspec.json.decode(VERSIONS.render(Order("a", 1250), "v1")) == OLD


def test_a_schemas_older_events_are_read_outside_of_an_app_too() -> None:
    body = msgspec.json.encode(OLD)
    read = schema_of(Order).decode(body, dataschema="schema:versioned.order/1")
    assert read == Order("a", 1250)


@pytest.mark.parametrize("batch", [1, 10])
async def test_a_message_that_says_its_api_version_is_led_up(batch: int) -> None:
    app, seen = App("shop"), list[Plain]()
    app.versions(VERSIONS)
    orders = app.queue("orders", Plain)
    if batch == 1:

        @orders.handler()
        async def one(order: Plain, message: Message) -> None:
            assert HEADER not in message.headers
            seen.append(order)

    else:

        @orders.handler(batch=batch)
        async def several(orders: Batch[Plain]) -> None:
            seen.extend(orders)

    async with app.test() as t:
        old = Message(body=msgspec.json.encode(OLD), headers={HEADER: "v1"})
        new = Message(body=msgspec.json.encode(NEW))
        await t.host.queue.send("orders", [old, new])
        await t.settle()
    assert seen == [Plain("a", 1250), Plain("a", 1250)]


@pytest.mark.parametrize(
    ("body", "version", "why"),
    [
        (b'{"id":"a","total":"many"}', "v1", "cannot be led to v2"),
        (b"{", "v1", "cannot be led to v2"),
        (b"{}", "v7", "of version 'v7'; there are v2, v1"),
    ],
)
async def test_a_message_that_cannot_be_led_up_is_a_dead_letter(
    body: bytes, version: str, why: str
) -> None:
    app = App("shop")
    app.versions(VERSIONS)
    orders = app.queue("orders", Plain)

    @orders.handler()
    async def handle(order: Plain) -> None:
        raise AssertionError

    async with app.test() as t:
        await t.host.queue.send("orders", [Message(body=body, headers={HEADER: version})])
        await t.settle()
        [letter] = await orders.dead_letters.list()
        assert why in letter.failures[-1].error


async def test_another_app_may_subscribe_to_what_a_type_was() -> None:
    """Its topic carries the older class; the table comes with the shared models."""
    mail, seen = App("mail"), list[OrderV1]()
    mail.versions(VERSIONS)
    accepted = mail.topic("accepted", OrderV1)

    @accepted.subscription("mail")
    async def send(order: OrderV1) -> None:
        seen.append(order)

    async with mail.test() as t:
        for dataschema, value in (("versioned.order/2", NEW), ("versioned.order/1", OLD)):
            message = Message(
                body=msgspec.json.encode(value),
                type="versioned.order",
                dataschema=f"schema:{dataschema}",
            )
            await t.host.queue.send("accepted", [message])
        await t.settle()
    assert seen == [OrderV1("a", "12.50")] * 2


async def test_an_unnamed_type_is_led_down_for_who_takes_what_it_was() -> None:
    mail, seen = App("mail"), list[PlainV1]()
    mail.versions(VERSIONS)
    orders = mail.queue("orders", PlainV1)

    @orders.handler()
    async def send(order: PlainV1) -> None:
        seen.append(order)

    async with mail.test() as t:
        newest = Message(body=msgspec.json.encode(NEW), type="Plain")
        said = Message(body=msgspec.json.encode(OLD), headers={HEADER: "v1"})
        await orders.send(PlainV1("a", "12.50"))
        await t.host.queue.send("orders", [newest, said])
        await t.settle()
    assert seen == [PlainV1("a", "12.50")] * 3


async def test_of_several_types_only_the_changed_one_is_led() -> None:
    app, seen = App("shop"), list[Any]()
    app.versions(VERSIONS)

    class Cancelled(msgspec.Struct):
        id: str

    events = app.topic("events", Plain, Cancelled)

    @events.subscription("all")
    async def see(event: Plain | Cancelled) -> None:
        seen.append(event)

    async with app.test() as t:
        old = Message(body=msgspec.json.encode(OLD), type="Plain", headers={HEADER: "v1"})
        other = Message(body=b'{"id":"b"}', type="Cancelled", headers={HEADER: "v1"})
        await t.host.queue.send("events", [old, other])
        await t.settle()
    assert seen == [Plain("a", 1250), Cancelled("b")]


# --- versions of schemas ----------------------------------------------------------------------


def test_each_change_leads_from_one_schema_version() -> None:
    table = Versions("v3", "v2", "v1")

    @schema("versioned.chained", version=3)
    class Chained(msgspec.Struct):
        c: int

    @table.change("v2", Chained)
    class FromA:
        def upgrade(self, old: dict[str, Any]) -> dict[str, Any]:
            return {"b": old["a"]}

    @table.change("v3", Chained)
    class FromB:
        def upgrade(self, old: dict[str, Any]) -> dict[str, Any]:
            return {"c": old["b"]}

    for version, body in ((1, b'{"a":1}'), (2, b'{"b":1}'), (3, b'{"c":1}')):
        label = f"schema:versioned.chained/{version}"
        assert schema_of(Chained).decode(body, dataschema=label) == Chained(1)


def test_what_changed_inside_leads_events_up_where_the_outer_type_says_so() -> None:
    table = Versions("v2", "v1")

    class Money(msgspec.Struct):
        amount: int

    @schema("versioned.paid", version=2)
    class Paid(msgspec.Struct):
        money: Money

    @table.change("v2", Paid)
    class PaidHasMoney:
        """The money inside has an amount."""

    @table.change("v2", Money)
    class Amount:
        def upgrade(self, old: dict[str, Any]) -> dict[str, Any]:
            return {"amount": old["cents"]}

    read = schema_of(Paid).decode(b'{"money":{"cents":5}}', dataschema="schema:versioned.paid/1")
    assert read == Paid(Money(5))


def test_a_schema_that_kept_its_version_is_refused() -> None:
    table = Versions("v2", "v1")

    @schema("versioned.kept", version=1)
    class Kept(msgspec.Struct):
        id: str

    with pytest.raises(ConfigError, match=r"@schema\(.versioned.kept., version=2\)"):
        table.change("v2", Kept)(TotalInCents)


def test_an_event_that_a_change_fails_on_is_told_so() -> None:
    with pytest.raises(SchemaError, match=r"TotalInCents.upgrade .* failed"):
        schema_of(Order).decode(b'{"id":"a"}', dataschema="schema:versioned.order/1")
