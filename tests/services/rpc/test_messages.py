"""Models as messages: what is read is what was written, and every fault is told."""

import enum
import math
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Annotated, Any, Generic, Literal, TypeVar
from uuid import UUID

import msgspec
import pytest
from hypothesis import given as having
from hypothesis import strategies as st

from isthmus.errors import ConfigError, SchemaError
from isthmus.services.rpc import Fixed32, Float, Int32, Service, UInt64, Wire
from isthmus.services.rpc.contract.codec import Codec
from isthmus.services.rpc.contract.contract import contract_of
from isthmus.services.rpc.contract.text import proto_text
from isthmus.services.rpc.wire.converter import UnreadableError
from isthmus.services.rpc.wire.shapes import snake

T = TypeVar("T")


def service_of(model: Any) -> Any:
    async def ask(self: Any, request: Any) -> Any: ...

    ask.__annotations__ = {"request": model, "return": model}
    made: Any = type(Service)
    return made("Made", (Service,), {"ask": ask, "__module__": "nowhere"}, name="made.v1.AService")


def codec_of(model: Any) -> Codec:
    return contract_of(service_of(model)).methods[0].request


def text_of(model: Any) -> str:
    return proto_text(contract_of(service_of(model)).files[0], {})


class Color(enum.Enum):
    RED = "red"
    DarkBlue = "blue"


class Level(enum.IntEnum):
    LOW = 10
    HIGH = 20


class Card(msgspec.Struct, frozen=True):
    number: str


class Cash(msgspec.Struct, frozen=True):
    pass


class Node(msgspec.Struct):
    name: str = ""
    children: list["Node"] = []


class Everything(msgspec.Struct):
    text: str
    octets: bytes
    whole: int
    small: Int32
    large: UInt64
    fixed: Fixed32
    half: Float
    number: float
    flag: bool
    color: Color
    level: Level
    moment: datetime
    span: timedelta
    day: date
    hour: time
    price: Decimal
    id: UUID
    node: Node
    pay: Card | Cash | int
    choice: Literal["a", "b"]
    names: list[str]
    numbers: tuple[int, ...]
    flags: set[bool]
    nodes: list[Node]
    colors: list[Color]
    moments: list[datetime]
    counts: dict[str, int]
    cards: dict[int, Card]
    levels: dict[bool, Level]
    note: str | None = None
    count: int | None = None
    when: datetime | None = None
    kind: Color | None = None
    paid: Card | Cash | None = None
    five: int = 5
    empty: str = ""
    dark: Color = Color.DarkBlue
    root: Node = msgspec.field(default_factory=Node)


INT64 = st.integers(-(1 << 63), (1 << 63) - 1)
TEXT = st.text(st.characters(exclude_categories=["Cs"]))
MOMENTS = st.datetimes(timezones=st.just(UTC))
SPANS = st.timedeltas(timedelta(days=-100_000), timedelta(days=100_000))
NODES = st.recursive(
    st.builds(Node, TEXT), lambda inner: st.builds(Node, TEXT, st.lists(inner, max_size=2))
)
CARDS = st.builds(Card, TEXT)
EVERYTHING = st.builds(
    Everything,
    text=TEXT,
    octets=st.binary(),
    whole=INT64,
    small=st.integers(-(1 << 31), (1 << 31) - 1),
    large=st.integers(0, (1 << 64) - 1),
    fixed=st.integers(0, (1 << 32) - 1),
    half=st.floats(width=32, allow_nan=False),
    number=st.floats(allow_nan=False),
    flag=st.booleans(),
    color=st.sampled_from(Color),
    level=st.sampled_from(Level),
    moment=MOMENTS,
    span=SPANS,
    day=st.dates(),
    hour=st.times(),
    price=st.decimals(allow_nan=False),
    id=st.uuids(),
    node=NODES,
    pay=CARDS | st.builds(Cash) | INT64,
    choice=st.sampled_from(["a", "b"]),
    names=st.lists(TEXT),
    numbers=st.lists(INT64).map(tuple),
    flags=st.sets(st.booleans()),
    nodes=st.lists(NODES, max_size=2),
    colors=st.lists(st.sampled_from(Color)),
    moments=st.lists(MOMENTS),
    counts=st.dictionaries(TEXT, INT64),
    cards=st.dictionaries(INT64, CARDS),
    levels=st.dictionaries(st.booleans(), st.sampled_from(Level)),
    note=st.none() | TEXT,
    count=st.none() | INT64,
    when=st.none() | MOMENTS,
    kind=st.none() | st.sampled_from(Color),
    paid=st.none() | CARDS | st.builds(Cash),
    five=INT64,
    empty=TEXT,
    dark=st.sampled_from(Color),
    root=NODES,
)


@having(EVERYTHING)
def test_what_is_read_is_what_was_written(value: Everything) -> None:
    codec = codec_of_everything()
    assert codec.decode(codec.encode(value)) == value


@having(st.binary(max_size=60))
def test_bytes_from_outside_are_read_or_refused_and_nothing_else(body: bytes) -> None:
    codec = codec_of_everything()
    try:
        codec.decode(body)
    except UnreadableError as error:
        told = error.problems
    else:
        return
    assert told


_MADE = list[Codec]()


def codec_of_everything() -> Codec:
    if not _MADE:
        _MADE.append(codec_of(Everything))
    return _MADE[0]


def test_types_are_what_protobuf_has_for_them() -> None:
    text = text_of(Everything)
    for line in (
        "string text = 1;",
        "bytes octets = 2;",
        "int64 whole = 3;",
        "int32 small = 4;",
        "uint64 large = 5;",
        "fixed32 fixed = 6;",
        "float half = 7;",
        "double number = 8;",
        "bool flag = 9;",
        "Color color = 10;",
        "google.protobuf.Timestamp moment = 12;",
        "google.protobuf.Duration span = 13;",
        "string price = 16;",
        "oneof pay {\n    Card pay_card = 19;\n    Cash pay_cash = 20;\n    int64 pay_int = 21;",
        "repeated string names = 23;",
        "map<string, int64> counts = 29;",
        "map<bool, Level> levels = 31;",
        "optional string note = 32;",
        "google.protobuf.Timestamp when = 34;",
        "optional int64 five = 38;",
        "string empty = 39;",
        "optional Color dark = 40;",
        "COLOR_UNSPECIFIED = 0;\n  COLOR_RED = 1;\n  COLOR_DARK_BLUE = 2;",
        "LEVEL_UNSPECIFIED = 0;\n  LEVEL_LOW = 10;\n  LEVEL_HIGH = 20;",
    ):
        assert line in text


def test_what_is_absent_is_its_default() -> None:
    class Old(msgspec.Struct):
        a: str = ""

    class New(msgspec.Struct):
        a: str = ""
        five: int = 5
        on: bool = True
        dark: Color = Color.RED
        note: str | None = None
        items: list[int] = msgspec.field(default_factory=list)
        at: datetime | None = None
        node: Node = msgspec.field(default_factory=lambda: Node("root"))

    old, new = codec_of(Old), codec_of(New)
    assert new.decode(old.encode(Old("x"))) == New("x")
    assert old.decode(new.encode(New("x", 7, on=False))) == Old("x")


def test_a_zero_is_told_from_nothing_where_it_may_be_none() -> None:
    class Maybe(msgspec.Struct):
        count: int | None = None
        text: str | None = None
        five: int = 5

    codec = codec_of(Maybe)
    for value in (Maybe(), Maybe(0, "", 0), Maybe(1, "a")):
        assert codec.decode(codec.encode(value)) == value
    assert codec.encode(Maybe(None, None, 5)) != codec.encode(Maybe(None, None, 0))


def test_every_fault_of_a_message_is_told_with_its_place() -> None:
    class Line(msgspec.Struct):
        sku: Annotated[str, msgspec.Meta(min_length=1)]
        color: Color

    class Order(msgspec.Struct):
        id: UUID
        at: datetime
        lines: Annotated[list[Line], msgspec.Meta(min_length=1)]
        by_name: dict[str, Line]
        kind: Literal["a", "b"]
        count: Annotated[int, msgspec.Meta(ge=1)]
        pay: Card | Cash
        day: date

    class Loose(msgspec.Struct):
        """The same for who does not keep to it."""

        id: str
        lines: list["LooseLine"]
        by_name: dict[str, "LooseLine"]
        kind: str
        count: int
        day: str

    class LooseLine(msgspec.Struct):
        sku: str

    Loose.__annotations__ |= {"lines": list[LooseLine], "by_name": dict[str, LooseLine]}
    codec = codec_of(Order)
    with pytest.raises(UnreadableError) as caught:
        codec.decode(b"")
    assert caught.value.problems == (
        "id: '' is no UUID",
        "at: missing",
        "lines: Expected `array` of length >= 1",
        "kind: Invalid enum value ''",
        "count: Expected `int` >= 1",
        "pay: missing",
        "day: Invalid isoformat string: ''",
    )
    body = b"\x1a\x00" + b"\x22\x05\x0a\x01k\x12\x00"
    with pytest.raises(UnreadableError) as deeper:
        codec.decode(body)
    assert {
        "lines[0].sku: Expected `str` of length >= 1",
        "lines[0].color: missing",
        "by_name['k'].sku: Expected `str` of length >= 1",
        "by_name['k'].color: missing",
    } <= set(deeper.value.problems)


def test_every_fault_of_a_value_is_told_before_it_is_sent() -> None:
    class Order(msgspec.Struct):
        id: UUID
        at: datetime
        count: int
        small: Int32
        color: Color
        node: Node
        names: list[str]
        counts: dict[str, int]
        cards: dict[str, Card]
        pay: Card | Cash
        span: timedelta
        nodes: list[Node]
        text: str

    wrong: Any = Order
    node = Node("a", [7])  # pyright: ignore[reportArgumentType]
    value = wrong(
        "x", datetime(2026, 1, 1), 1 << 63, 1 << 31, "red", node, "names",  # noqa: DTZ001
        {"a": "b"}, {"c": 7}, "card", 5, None, "\ud800",
    )  # fmt: skip
    with pytest.raises(SchemaError) as caught:
        codec_of(Order).encode(value)
    told = dict(fault.split(": ", 1) for fault in caught.value.problems)
    assert list(told) == [
        "id", "at", "count", "small", "color", "node.children[0]", "names", "counts['a']",
        "cards['c']", "pay", "span", "nodes", "text",
    ]  # fmt: skip
    assert told["at"] == "2026-01-01T00:00:00 has no time zone; use datetime.now(UTC)"
    assert told["pay"] == "expected one of Card, Cash; got str"
    assert told["names"] == "expected a list, got str"


def test_a_model_may_judge_for_itself() -> None:
    @dataclass
    class Range:
        low: int
        high: int
        names: list[str] = field(default_factory=list)

        def __post_init__(self) -> None:
            if self.low > self.high:
                raise ValueError("low is above high")

    codec = codec_of(Range)
    value = Range(1, 2, ["a"])
    assert codec.decode(codec.encode(value)) == value
    value.low = 3
    with pytest.raises(UnreadableError, match="low is above high"):
        codec.decode(codec.encode(value))


def test_moments_are_utc_and_cut_to_microseconds() -> None:
    class At(msgspec.Struct):
        moment: datetime

    codec = codec_of(At)
    east = timezone(timedelta(hours=2))
    moment = datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=east)
    read = codec.decode(codec.encode(At(moment))).moment
    assert read == moment
    assert read.tzinfo is UTC
    with pytest.raises(UnreadableError, match="moment"):
        codec.decode(b"\x0a\x0a\x08" + b"\xff" * 8 + b"\x7f")


def test_generic_models_have_names_of_their_own() -> None:
    class Page(msgspec.Struct, Generic[T]):
        items: list[T]

    codec = codec_of(Page[Card])
    assert codec.decode(codec.encode(Page([Card("1")]))) == Page([Card("1")])
    assert "message PageCard {" in text_of(Page[Card])


def test_fields_are_read_by_the_names_of_their_model() -> None:
    pydantic = pytest.importorskip("pydantic")

    class Aliased(pydantic.BaseModel):
        first: str = pydantic.Field(alias="FIRST")
        second: int | None = None
        third: list[Color] = pydantic.Field(default_factory=list)

    class ByName(msgspec.Struct, kw_only=True, rename="camel"):
        first_name: str = ""
        second: int

    for value in (Aliased(FIRST="a", third=[Color.RED]), ByName(first_name="a", second=2)):
        codec = codec_of(type(value))
        assert codec.decode(codec.encode(value)) == value


def test_lines_and_functions_of_fields_do_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    from isthmus.services.rpc.wire import lines

    value = Everything(
        "a", b"b", 1, 2, 3, 4, 0.5, math.pi, True, Color.RED, Level.LOW,
        datetime(2026, 1, 1, tzinfo=UTC), timedelta(seconds=1), date(2026, 1, 1), time(1),
        Decimal("1.50"), UUID(int=7), Node("x", [Node("y")]), Cash(), "a", ["n"], (1,), {True},
        [Node("z")], [Color.RED], [], {"a": 1}, {1: Card("2")}, {True: Level.HIGH}, "note",
    )  # fmt: skip
    by_lines = codec_of(Everything)
    monkeypatch.setattr(lines, "_lines", lambda _: lines.Lines("", "", {}))
    by_functions = codec_of(Everything)
    body = by_lines.encode(value)
    assert body == by_functions.encode(value)
    assert by_lines.decode(body) == by_functions.decode(body) == value


# --- what Protobuf has nothing for ------------------------------------------------------------


@pytest.mark.parametrize(
    ("hint", "told"),
    [
        (list[list[int]], r"list\[int\] in list\[list\[int\]\]: .* make a model"),
        (list[int | None], "make a model with one field of it"),
        (dict[str, list[int]], "make a model"),
        (dict[float, int], "keys of a map are str, int or bool"),
        (list[Card | Cash], "make a model"),
        (list[int] | None, "cannot tell an empty list or map from none"),
        (tuple[int, str], "a tuple of fixed places"),
        (Any, "has no counterpart"),
        (complex, "has no counterpart"),
        (list, "say what is in it"),
        (dict, "say what is in it"),
        (Literal["a", 1], "all str, or all int"),
        (Annotated[str, Wire("int32")], "does not fit str"),
        (Color | Card, "members are models and plain types"),
        (enum.Flag("Flags", "A B"), "a set of flags"),
    ],
)
def test_what_cannot_be_carried_is_refused_with_the_way_out(hint: Any, told: str) -> None:
    model = msgspec.defstruct("Model", [("it", hint)])
    with pytest.raises(ConfigError, match=told) as caught:
        codec_of(model)
    assert "Model cannot be a message" in str(caught.value)


def test_a_default_that_cannot_be_told_is_refused() -> None:
    class Model(msgspec.Struct):
        maybe: int | None = 5
        full: list[int] = msgspec.field(default_factory=lambda: [1])

    with pytest.raises(ConfigError, match=r"(?s)maybe: .*cannot tell None.*full: its default"):
        codec_of(Model)


def test_names_that_meet_are_refused() -> None:
    class One(msgspec.Struct):
        pay_card: str
        pay: Card | Cash

    class Other:
        class Card(msgspec.Struct):
            x: int

    class Two(msgspec.Struct):
        a: Card
        b: Other.Card

    class Service_(Service, name="made.v1.BService"):  # noqa: N801
        async def card(self, cards: AsyncIterator[Card]) -> None: ...

    with pytest.raises(ConfigError, match="'pay_card' twice"):
        codec_of(One)
    with pytest.raises(ConfigError, match=r"both be the message made\.v1\.Card"):
        codec_of(Two)
    assert contract_of(Service_).methods[0].method.name == "Card"


def test_a_typed_dict_is_no_message() -> None:
    from typing import TypedDict

    class Loose(TypedDict):
        a: int

    with pytest.raises(ConfigError, match="cannot be a message"):
        codec_of(Loose)


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("Card", "card"),
        ("CardPayment", "card_payment"),
        ("HTTPRoute", "http_route"),
        ("A1B", "a1_b"),
    ],
)
def test_names_become_snakes(name: str, wanted: str) -> None:
    assert snake(name) == wanted
