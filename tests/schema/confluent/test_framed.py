"""Messages with a registry's ids: in queues, topics and streams, and while it is out of order."""

import asyncio
import io
import json
from collections.abc import Awaitable, Callable
from typing import Any

import fastavro
import msgspec
import pytest

from isthmus import App, ConfigError, Message, SchemaError, UnavailableError
from isthmus.schema import Registry, schema, schema_of
from isthmus.schema.confluent.registry import Document
from isthmus.schema.formats import Avro, Json, Protobuf
from isthmus.schema.wire import Wire


@schema("shop.line", version=1)
class Line(msgspec.Struct):
    sku: str
    count: int = 1


class Other(msgspec.Struct):
    name: str


def avro(server: Any, **options: Any) -> Avro:
    return Avro(registry=server.registry(), **options)


async def until(t: Any, done: Callable[[], Awaitable[bool] | bool]) -> None:
    """Let virtual time pass until real answers of the registry have come."""
    async with asyncio.timeout(40):
        while not (found if isinstance(found := done(), bool) else await found):
            await t.advance(5)


async def buried(queue: Any) -> bool:
    return await queue.dead_letters.count() > 0


def waiting(t: Any, to: Any) -> Message:
    return t.messages(to)[-1]


async def test_what_is_sent_begins_with_the_id_and_is_read_by_anybody(server: Any) -> None:
    app = App("shop")
    orders, seen = app.queue("orders", Line, format=avro(server)), list[Line]()

    @orders.handler()
    async def accept(line: Line) -> None:
        seen.append(line)

    async with app.test() as t:
        await orders.send(Line("a", 3))
        await t.settle()
        sent = waiting(t, orders)
        assert seen == [Line("a", 3)]
    assert server.subjects == {"orders-value": [1]}
    assert sent.datacontenttype == "application/vnd.confluent.avro"
    assert sent.body[:5] == b"\0\0\0\0\1"
    written = json.loads(server.schemas[0]["schema"])
    assert written["name"] == "shop.line"
    assert fastavro.schemaless_reader(io.BytesIO(sent.body[5:]), written, None) == {
        "sku": "a",
        "count": 3,
    }


async def test_a_message_of_another_program_is_read_by_the_schema_that_it_was_written_with(
    server: Any,
) -> None:
    other = {
        "type": "record",
        "name": "shop.line",
        "fields": [
            {"name": "colour", "type": "string"},
            {"name": "sku", "type": "string"},
        ],
    }
    registry = server.registry()
    number = await registry.register("theirs", Document(json.dumps(other)))
    body = io.BytesIO()
    fastavro.schemaless_writer(body, other, {"colour": "red", "sku": "x"})
    app = App("shop")
    orders, seen = app.queue("orders", Line, format=avro(server)), list[Line]()

    @orders.handler()
    async def accept(line: Line) -> None:
        seen.append(line)

    framed = b"\0" + number.to_bytes(4, "big") + body.getvalue()
    async with app.test() as t:
        for told in ("application/vnd.confluent.avro", "application/json", "", "application/avro"):
            await t.host.queue.send("orders", [Message(body=framed, datacontenttype=told)])
        await until(t, lambda: len(seen) == 4)
    assert seen == [Line("x", 1)] * 4


async def test_an_older_version_is_led_up_by_upcasters(server: Any) -> None:
    registry = Registry()

    @registry.schema("shop.price", version=1)
    class First(msgspec.Struct):
        sku: str
        euros: float

    @registry.upcaster("shop.price", version=1)
    def cents(old: dict[str, Any]) -> dict[str, Any]:
        return {"sku": old["sku"], "cents": round(old["euros"] * 100)}

    @registry.schema("shop.price", version=2)
    class Second(msgspec.Struct):
        sku: str
        cents: int

    form = avro(server, subject="record")
    wire = Wire(registry.of(First), place="prices", format=form)
    await wire.prepare()
    body, media = wire.write(wire.schema, First("a", 1.5))
    sent = Message(body=body, datacontenttype=media, dataschema="schema:shop.price/1")
    reader = Wire(registry.of(Second), place="prices", format=avro(server))
    await reader.fetch([sent])
    assert reader.read(sent) == Second("a", 150)


@pytest.mark.parametrize(
    ("subject", "expected"),
    [
        ("topic", {"told-value"}),
        ("record", {"shop.line", "Other"}),
        ("topic-record", {"told-shop.line", "told-Other"}),
        (lambda place, record: f"{record}@{place}", {"shop.line@told", "Other@told"}),
    ],
)
async def test_subjects_are_called_as_was_said(server: Any, subject: Any, expected: Any) -> None:
    app = App("shop")
    told = app.topic("told", Line, Other, format=avro(server, subject=subject))
    if subject == "topic":
        told = app.topic("only", Line, format=avro(server))
        expected = {"only-value"}
    async with app.test() as t:
        await told.publish(Line("a"))
        await t.settle()
    assert set(server.subjects) == expected


async def test_several_types_in_one_subject_are_refused_by_the_registry(server: Any) -> None:
    app = App("shop")
    told = app.topic("told", Line, Other, format=avro(server))
    async with app.test():
        with pytest.raises(SchemaError, match="incompatible"):
            await told.publish(Line("a"))


async def test_batches_streams_and_listeners_read_it(server: Any) -> None:
    app, seen = App("shop"), list[Any]()
    batches = app.queue("batches", Line, format=avro(server))
    told = app.topic("told", Line, format=avro(server))
    ledger = app.stream("ledger", Line, format=avro(server), partitions=1)
    reader = App("reader").stream("ledger", Line, format=avro(server), partitions=1)

    @batches.handler(batch=5)
    async def several(lines: list[Line]) -> None:
        seen.extend(lines)

    @ledger.group("all")
    async def post(line: Line) -> None:
        seen.append(line)

    async with app.test() as t:
        async with told.listen() as live:
            await batches.send_many([Line("a"), Line("b")])
            await ledger.append(Line("c"))
            await ledger.append_many([Line("d")])
            await told.publish_many([Line("e")])
            await t.settle()
            assert await anext(live) == Line("e")
        assert [each.sku for each in seen if each] == ["a", "b", "c", "d"] or len(seen) == 4
        await reader._bind(t.host)
        assert [each.sku async for each in reader.read()] == ["c", "d"]


# --- out of order --------------------------------------------------------------------------------


async def test_while_the_registry_is_out_of_reach_nothing_is_sent(server: Any) -> None:
    app = App("shop")
    orders = app.queue("orders", Line, format=avro(server))
    async with app.test() as t:
        server.down = True
        with pytest.raises(UnavailableError):
            await orders.send(Line("a"))
        server.down = False
        await orders.send(Line("b"))
        server.down = True
        await orders.send(Line("c"))  # the id is known
        await t.settle()
        assert t.sent(orders) == [Line("b"), Line("c")]


async def test_while_it_is_out_of_reach_messages_come_back_uncounted(server: Any) -> None:
    writer = Wire(schema_of(Line), place="orders", format=avro(server))
    await writer.prepare()
    body, media = writer.write(writer.schema, Line("a"))
    app = App("shop")
    orders, seen = app.queue("orders", Line, format=avro(server)), list[Line]()

    @orders.handler()
    async def accept(line: Line) -> None:
        seen.append(line)

    async with app.test() as t:
        server.down = True
        await t.host.queue.send("orders", [Message(body=body, datacontenttype=media)])
        await until(t, lambda: len(server.asked) > 10)  # far beyond five attempts
        assert await orders.dead_letters.count() == 0
        assert seen == []
        server.down = False
        await until(t, lambda: seen == [Line("a")])


async def test_an_id_that_the_registry_does_not_know_is_tried_again_and_at_last_a_dead_letter(
    server: Any,
) -> None:
    app = App("shop")
    orders = app.queue("orders", Line, format=avro(server))

    @orders.handler()
    async def accept(line: Line) -> None:
        raise AssertionError

    body = b"\0\0\0\0\x63rest"
    async with app.test() as t:
        await t.host.queue.send(
            "orders", [Message(body=body, datacontenttype="application/vnd.confluent.avro")]
        )
        await until(t, lambda: buried(orders))
        [letter] = await orders.dead_letters.list()
        assert letter.reason == "failed 5 times"
        assert "Schema 99 not found" in letter.failures[-1].error


@pytest.mark.parametrize("body", [b"\0\0", b"\0\0\0\0\1\xff", b"\0\0\0\0\1\x02a\x02zz", b"x"])
async def test_what_cannot_be_read_is_a_dead_letter_at_once(server: Any, body: bytes) -> None:
    writer = Wire(schema_of(Line), place="orders", format=avro(server))
    await writer.prepare()
    app = App("shop")
    orders = app.queue("orders", Line, format=avro(server))

    @orders.handler()
    async def accept(line: Line) -> None:
        raise AssertionError

    async with app.test() as t:
        await t.host.queue.send(
            "orders", [Message(body=body, datacontenttype="application/vnd.confluent.avro")]
        )
        await until(t, lambda: buried(orders))
        [letter] = await orders.dead_letters.list()
        assert letter.reason.startswith("unreadable")
        assert len(letter.failures) == 1


async def test_without_a_registry_a_framed_body_says_what_to_declare(server: Any) -> None:
    writer = Wire(schema_of(Line), place="orders", format=avro(server))
    await writer.prepare()
    body, media = writer.write(writer.schema, Line("a"))
    with pytest.raises(SchemaError, match="registry="):
        Wire(schema_of(Line), place="orders").read(Message(body=body, datacontenttype=media))


async def test_a_schema_that_may_not_be_registered_has_to_be_there(server: Any) -> None:
    app = App("shop")
    orders = app.queue("orders", Line, format=avro(server, register=False))
    async with app.test():
        with pytest.raises(Exception, match="not found"):
            await orders.send(Line("a"))
        writer = Wire(schema_of(Line), place="orders", format=avro(server))
        await writer.prepare()
        await orders.send(Line("a"))


def test_a_strategy_that_is_none_is_refused() -> None:
    with pytest.raises(ConfigError, match="subject="):
        Avro(registry="http://host", subject="nonsense")  # type: ignore[arg-type]


# --- JSON ----------------------------------------------------------------------------------------


async def test_json_is_framed_and_read_without_asking(server: Any) -> None:
    form = Json(registry=server.registry())
    app = App("shop")
    orders, seen = app.queue("orders", Line, format=form), list[Line]()
    plain = App("plain").queue("orders", Line)

    @orders.handler()
    async def accept(line: Line) -> None:
        seen.append(line)

    async with app.test() as t:
        await orders.send(Line("a"))
        await plain._bind(t.host)
        await plain.send(Line("b"))
        await t.settle()
        assert t.messages(orders)[0].body == b'\0\0\0\0\1{"sku":"a","count":1}'
        assert plain.wire.read(t.messages(orders)[0]) == Line("a")
    assert seen == [Line("a"), Line("b")]
    assert server.schemas[0]["schemaType"] == "JSON"
    assert json.loads(server.schemas[0]["schema"])["$defs"]["Line"]["required"] == ["sku"]
    assert not [each for each in server.asked if each.startswith("GET")]


# --- protobuf ------------------------------------------------------------------------------------


async def test_generated_classes_are_payloads(protos: Any) -> None:
    app, seen = App("shop"), list[Any]()
    orders = app.queue("orders", protos.Order)

    @orders.handler()
    async def accept(order: protos.Order) -> protos.Other:  # type: ignore[name-defined]
        seen.append(order)
        return protos.Other(name="done")

    order = protos.Order(id="1", lines=[protos.Order.Line(sku="a", count=2)])
    order.total.cents = 7
    async with app.test() as t:
        await orders.send(order)
        await t.settle()
        [sent] = t.messages(orders)
        assert seen == [order]
        assert (sent.type, sent.datacontenttype) == ("shop.Order", "application/protobuf")
        assert protos.Order.FromString(sent.body) == order
        assert (await orders.request(order, result=protos.Other)).name == "done"
        with pytest.raises(SchemaError, match="carries"):
            await orders.send(protos.Other(name="x"))


async def test_they_are_read_from_json_and_described_by_it(protos: Any) -> None:
    wire = Wire[Any](schema_of(protos.Order), place="orders")
    body = b'{"id": "1", "total": {"cents": "7"}, "state": "PAID"}'
    found = wire.read(Message(body=body))
    assert (found.id, found.total.cents, found.state) == ("1", 7, protos.Order.PAID)
    document = wire.schema.json_schema()
    fields = document["$defs"]["shop.Order"]["properties"]
    assert fields["lines"] == {"type": "array", "items": {"$ref": "#/$defs/shop.Order.Line"}}
    assert fields["notes"]["additionalProperties"] == {"type": "string"}
    assert fields["state"] == {"enum": ["NEW", "PAID"]}
    written = Wire[Any](wire.schema, place="orders", format="json")
    text, media = written.write(wire.schema, protos.Order(id="2"))
    assert (json.loads(text), media) == ({"id": "2"}, "application/json")


@pytest.mark.parametrize("word", ["msgpack", "avro"])
def test_they_have_no_other_format(protos: Any, word: Any) -> None:
    with pytest.raises(ConfigError, match="payload"):
        App("shop").queue("orders", protos.Order, format=word)
    with pytest.raises(ConfigError, match="protoc"):
        App("shop").queue("orders", Line, format="protobuf")


async def test_bytes_that_are_no_protobuf_are_a_dead_letter(protos: Any) -> None:
    wire = Wire[Any](schema_of(protos.Order), place="orders")
    with pytest.raises(SchemaError, match=r"not a shop\.Order"):
        wire.read(Message(body=b"\x0a\xff", datacontenttype="application/protobuf"))


async def test_framed_protobuf_says_which_message_of_its_file_it_is(
    server: Any, protos: Any
) -> None:
    form = Protobuf(registry=server.registry())
    app = App("shop")
    orders, seen = app.queue("orders", protos.Order, format=form), list[Any]()
    lines = app.queue("lines", protos.Order.Line, format=form)

    @orders.handler()
    async def accept(order: protos.Order) -> None:  # type: ignore[name-defined]
        seen.append(order)

    async with app.test() as t:
        await orders.send(protos.Order(id="1"))
        await lines.send(protos.Order.Line(sku="a"))
        await t.settle()
        assert seen == [protos.Order(id="1")]
        order, line = t.messages(orders)[0], t.messages(lines)[0]
    assert order.body == b"\0\0\0\0\2\x02\x02" + protos.Order(id="1").SerializeToString()
    assert line.body[5:8] == b"\x04\x02\x00"
    assert set(server.subjects) == {"common.proto", "orders-value", "lines-value"}
    assert server.schemas[1]["references"] == [
        {"name": "common.proto", "subject": "common.proto", "version": 1}
    ]
    with pytest.raises(SchemaError, match=r"expected shop\.Order\.Line, got"):
        lines.wire.read(order)
