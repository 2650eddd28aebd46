"""What every format promises: values come back, versions are led up, faults are named."""

import dataclasses
import datetime as dt
import enum
import uuid
from collections.abc import Callable
from decimal import Decimal
from typing import Annotated, Any, Literal

import msgspec
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus import App, Batch, ConfigError, Message, SchemaError
from isthmus.messaging import DeclaredQueue, DeclaredTopic
from isthmus.schema import Registry, schema_of
from isthmus.schema.formats import Avro
from isthmus.schema.named import Label
from isthmus.schema.wire import Wire
from isthmus.streams import DeclaredStream

WORDS = ["json", "msgpack", "avro"]
MEDIA = {
    "json": "application/json",
    "msgpack": "application/msgpack",
    "avro": "application/avro",
}


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Size(enum.Enum):
    SMALL = 1
    LARGE = 2


class Line(msgspec.Struct):
    sku: str
    count: int = 1


class Order(msgspec.Struct, rename="camel"):
    id: str
    cents: int
    at: dt.datetime
    day: dt.date
    key: uuid.UUID
    rate: Decimal
    raw: bytes
    colour: Colour
    size: Size
    ratio: float
    paid: bool
    kind: Literal["web", "shop"]
    line_items: list[Line]
    notes: dict[str, str]
    short: Annotated[str, msgspec.Meta(max_length=3)] = "abc"
    tags: set[str] = msgspec.field(default_factory=set)
    parent: "Line | None" = None
    again: Line | None = None
    maybe: int | str = 3


@dataclasses.dataclass
class Old:
    id: str
    lines: list[Line]
    note: str | None = None
    number: int = 7


class Part(pydantic.BaseModel):
    sku: str


class Model(pydantic.BaseModel):
    id: str
    at: dt.datetime
    rate: Decimal
    colour: Colour = Colour.RED
    parts: list[Part] = pydantic.Field(default_factory=list)
    renamed: str = pydantic.Field(default="x", alias="reName")


ORDER = Order(
    id="1",
    cents=-(2**40),
    at=dt.datetime(2030, 1, 2, 3, 4, 5, 678901, tzinfo=dt.UTC),
    day=dt.date(2030, 1, 2),
    key=uuid.UUID(int=7),
    rate=Decimal("1.50"),
    raw=b"\x00\xff",
    colour=Colour.BLUE,
    size=Size.LARGE,
    ratio=1.5,
    paid=True,
    kind="web",
    line_items=[Line("a", 2), Line("b")],
    notes={"a": "b"},
    tags={"x", "y"},
    again=Line("c"),
    maybe="four",
)
VALUES = [
    ORDER,
    Old("1", [Line("a")], None, 9),
    Model(
        id="1",
        at=dt.datetime(2030, 1, 2, tzinfo=dt.UTC),
        rate=Decimal("2.5"),
        reName="y",
        parts=[Part(sku="p")],
    ),
]


def message(wire: Wire[Any], value: Any, **attributes: Any) -> Message:
    body, media = wire.write(wire.schema.member(value), value)
    return Message(body=body, datacontenttype=media, **attributes)


@pytest.mark.parametrize("word", WORDS)
@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_a_value_comes_back(word: Any, value: Any) -> None:
    wire = Wire[Any](schema_of(type(value)), place="orders", format=word)
    sent = message(wire, value)
    assert sent.datacontenttype == MEDIA[word] == wire.datacontenttype
    assert wire.read(sent) == value
    assert wire.read_all([sent, sent]) == [value, value]


@pytest.mark.parametrize("word", ["msgpack", "avro"])
def test_it_takes_fewer_bytes_than_json(word: Any) -> None:
    schema = schema_of(Order)
    small, large = (Wire(schema, place="", format=each) for each in (word, "json"))
    assert len(message(small, ORDER).body) < 0.8 * len(message(large, ORDER).body)


@pytest.mark.parametrize("reads", WORDS)
@pytest.mark.parametrize("writes", WORDS)
def test_each_is_read_by_what_it_says_it_is(writes: Any, reads: Any) -> None:
    schema = schema_of(Order)
    sent = message(Wire(schema, place="orders", format=writes), ORDER)
    assert Wire(schema, place="orders", format=reads).read(sent) == ORDER


@pytest.mark.parametrize(
    "told", ["application/x-msgpack", "Application/MsgPack; charset=x", "application/vnd.msgpack"]
)
def test_other_names_of_a_format_are_known(told: str) -> None:
    wire = Wire(schema_of(Line), place="orders")
    assert wire.read(Message(body=msgspec.msgpack.encode(Line("a")), datacontenttype=told)) == Line(
        "a"
    )


@pytest.mark.parametrize("told", ["", "text/plain", "application/problem+json", "nonsense"])
def test_what_says_nothing_that_is_known_is_taken_for_the_places_own(told: str) -> None:
    body = b'{"sku":"a"}'
    assert Wire(schema_of(Line), place="").read(Message(body=body, datacontenttype=told)).sku == "a"
    packed = Wire(schema_of(Line), place="", format="msgpack")
    if told != "application/problem+json":
        sent = Message(body=msgspec.msgpack.encode(Line("b")), datacontenttype=told)
        assert packed.read(sent).sku == "b"


@pytest.mark.parametrize("word", WORDS)
@given(body=st.binary(max_size=60))
def test_no_body_does_more_than_be_refused(word: str, body: bytes) -> None:
    wire = Wire(schema_of(Line), place="orders")
    try:
        found = wire.read(Message(body=body, datacontenttype=MEDIA[word]))
    except SchemaError:
        return
    assert isinstance(found, Line)


@given(
    st.builds(
        Line,
        sku=st.text(max_size=20),
        count=st.integers(min_value=-(2**63), max_value=2**63 - 1),
    )
)
def test_every_value_comes_back(line: Line) -> None:
    for word in ("json", "msgpack", "avro"):
        wire = Wire(schema_of(Line), place="orders", format=word)  # type: ignore[arg-type]
        assert wire.read(message(wire, line)) == line


@pytest.mark.parametrize("word", ["msgpack", "avro"])
def test_a_body_that_is_cut_off_is_refused(word: Any) -> None:
    wire = Wire(schema_of(Order), place="orders", format=word)
    sent = message(wire, ORDER)
    for body in (sent.body[:-3], sent.body + b"\x01", sent.body[:1], b""):
        with pytest.raises(SchemaError):
            wire.read(msgspec.structs.replace(sent, body=body))


def test_all_faults_of_msgpack_are_told() -> None:
    body = msgspec.msgpack.encode({"sku": 1, "count": "x"})
    with pytest.raises(SchemaError) as caught:
        Wire(schema_of(Line), place="").read(
            Message(body=body, datacontenttype="application/msgpack")
        )
    assert [each.partition(":")[0] for each in caught.value.problems] == ["sku", "count"]


# --- versions ------------------------------------------------------------------------------------


def versions() -> tuple[type, type, Registry]:
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

    return First, Second, registry


@pytest.mark.parametrize("word", ["json", "msgpack"])
def test_an_older_version_is_led_up(word: Any) -> None:
    first, second, registry = versions()
    sent = message(
        Wire(registry.of(first), place="", format=word),
        first("a", 1.5),
        dataschema="schema:shop.price/1",
    )
    assert Wire(registry.of(second), place="").read(sent) == second("a", 150)


@pytest.mark.parametrize("word", ["json", "msgpack"])
def test_what_an_upcaster_makes_wrong_is_named(word: Any) -> None:
    first, second, registry = versions()
    registry._upcasters.clear()
    registry._upcasters.update({Label("shop.price", 1): lambda _: {"sku": 5}})
    sent = message(
        Wire(registry.of(first), place="", format=word),
        first("a", 1.5),
        dataschema="schema:shop.price/1",
    )
    with pytest.raises(SchemaError) as caught:
        Wire(registry.of(second), place="").read(sent)
    assert [each.partition(":")[0] for each in caught.value.problems] == ["sku", "cents"]


def test_avro_without_a_registry_refuses_what_another_schema_wrote() -> None:
    first, second, registry = versions()
    sent = message(Wire(registry.of(first), place="", format="avro"), first("a", 1.5))
    with pytest.raises(SchemaError, match="another Avro schema"):
        Wire(registry.of(second), place="").read(sent)


# --- in queues, topics and streams ---------------------------------------------------------------


@pytest.mark.parametrize("word", WORDS)
async def test_queues_topics_and_streams_speak_it(word: Any) -> None:
    app = App("shop")
    orders = app.queue("orders", Line, format=word)
    batches = app.queue("batches", Line, format=word)
    told = app.topic("told", Line, Old, format=word)
    ledger = app.stream("ledger", Line, format=word, partitions=1)
    seen = list[Any]()

    @orders.handler()
    async def accept(line: Line, message: Message) -> Line:
        seen.append((line, message.datacontenttype))
        return line

    @batches.handler(batch=10)
    async def several(lines: Batch[Line]) -> None:
        seen.extend(lines)

    @told.subscription("old")
    async def only(event: Old) -> None:
        seen.append(event)

    @ledger.group("all")
    async def post(line: Line) -> None:
        seen.append(line)

    old = Old("1", [])
    async with app.test() as t:
        async with told.listen() as live:
            await orders.send(Line("a"))
            await batches.send_many([Line("b"), Line("c")])
            await told.publish(Line("no"))
            await told.publish(old)
            await ledger.append(Line("d"))
            await t.settle()
            assert await anext(live) == Line("no")
        assert {media for _, media in [each for each in seen if isinstance(each, tuple)]} == {
            MEDIA[word]
        }
        rest = [each for each in seen if not isinstance(each, tuple)]
        assert sorted(map(repr, rest)) == sorted(map(repr, [Line("b"), Line("c"), Line("d"), old]))
        assert [each async for each in ledger.read()] == [Line("d")]
        assert t.sent(told) == [Line("no"), old]
        assert await orders.request(Line("e"), result=Line) == Line("e")
    records = app.describe()
    assert records.find(DeclaredQueue, "orders").datacontenttype == MEDIA[word]
    assert records.find(DeclaredTopic, "told").datacontenttype == MEDIA[word]
    assert records.find(DeclaredStream, "ledger").datacontenttype == MEDIA[word]


async def test_consumers_may_be_deployed_before_the_producer_switches() -> None:
    seen = list[str]()
    consumer = App("consumer")
    orders = consumer.queue("orders", Line)

    @orders.handler()
    async def accept(line: Line) -> None:
        seen.append(line.sku)

    async with consumer.test() as t:
        producers = dict[str, Callable[[Line], Any]]()
        for word in WORDS:
            queue = App(word).queue("orders", Line, format=word)  # type: ignore[arg-type]
            await queue._bind(t.host)
            producers[word] = queue.send
        for word, send in producers.items():
            await send(Line(word))
        await t.settle()
        assert seen == WORDS


async def test_what_cannot_be_read_is_a_dead_letter() -> None:
    app = App("shop")
    orders = app.queue("orders", Line, format="msgpack")

    @orders.handler()
    async def accept(line: Line) -> None:
        raise AssertionError

    async with app.test() as t:
        await t.host.queue.send(
            "orders", [Message(body=b"\xc1", datacontenttype="application/msgpack")]
        )
        await t.settle()
        [letter] = await orders.dead_letters.list()
        assert letter.reason.startswith("unreadable: not a Line")


# --- what cannot be ------------------------------------------------------------------------------


@pytest.mark.parametrize("format", ["yaml", 7, [], ["json", "yaml"]])
def test_an_unknown_format_is_refused(format: Any) -> None:
    with pytest.raises(ConfigError, match="format="):
        App("shop").queue("orders", Line, format=format)


@pytest.mark.parametrize("word", ["msgpack", "avro", "protobuf"])
def test_bytes_have_no_format(word: Any) -> None:
    with pytest.raises(ConfigError):
        App("shop").queue("orders", bytes, format=word)


@given(st.binary(max_size=20), st.sampled_from([*MEDIA.values(), "application/octet-stream", ""]))
def test_bytes_are_what_they_are(body: bytes, told: str) -> None:
    wire = Wire(schema_of(bytes), place="")
    assert wire.read(Message(body=body, datacontenttype=told)) == body
    assert wire.write(wire.schema, body) == (body, "application/octet-stream")


class Cat(msgspec.Struct, tag=True):
    name: str


class Dog(msgspec.Struct, tag=True):
    name: str


class Several(msgspec.Struct):
    pet: Cat | Dog


class Rows(msgspec.Struct, array_like=True):
    a: int


class Odd(msgspec.Struct):
    a: complex


class Dashed(msgspec.Struct, rename="kebab"):
    two_words: int


@pytest.mark.parametrize("type_", [Several, Rows, Dashed, list[int], dict[str, int]])
def test_what_avro_cannot_say_is_refused_where_it_is_declared(type_: Any) -> None:
    with pytest.raises(ConfigError, match=r"Avro|record"):
        App("shop").queue("orders", type_, format="avro")


def test_a_schema_of_ones_own_is_used(tmp_path: Any) -> None:
    text = (
        '{"type":"record","name":"Line","fields":[{"name":"sku","type":"string"},'
        '{"name":"count","type":"int"}]}'
    )
    file = tmp_path / "line.avsc"
    file.write_text(text)
    for given_ in (file, text, msgspec.json.decode(text)):
        wire = Wire(schema_of(Line), place="", format=Avro(schema=given_))
        assert wire.read(message(wire, Line("a", 3))) == Line("a", 3)
    with pytest.raises(ConfigError, match="no Avro schema"):
        Avro(schema="line.avsc")
    with pytest.raises(ConfigError, match="is none"):
        App("shop").queue("orders", Line, format=Avro(schema={"type": "record"}))


def test_a_value_that_does_not_fit_the_schema_is_not_sent() -> None:
    wire = Wire(schema_of(Line), place="", format="avro")
    with pytest.raises(SchemaError, match="cannot be sent"):
        wire.write(wire.schema, Line(7))  # type: ignore[arg-type]
