import base64
import dataclasses
import enum
import subprocess
import sys
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any, Generic, Literal, TypedDict, TypeVar

import msgspec
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus.errors import ConfigError, SchemaError
from isthmus.schema import Registry, Schema, UnionSchema, schema, schema_of, upcaster

T = TypeVar("T")


class Item(msgspec.Struct):
    sku: str
    count: Annotated[int, msgspec.Meta(ge=1)] = 1


class Order(msgspec.Struct):
    id: str
    total: int
    items: list[Item] = []
    note: str | None = None


@dataclasses.dataclass
class Placed:
    id: str
    at: datetime
    by: str = "web"


class Cancelled(msgspec.Struct, rename="camel"):
    order_id: str


class Paid(pydantic.BaseModel):
    id: str
    amount: Decimal = pydantic.Field(alias="sum", gt=0)


class Address(TypedDict):
    city: str
    zip: int


class Page(msgspec.Struct, Generic[T]):
    items: list[T]


class Colour(enum.Enum):
    RED = "red"


class Everything(msgspec.Struct):
    at: datetime
    key: uuid.UUID
    price: Decimal
    blob: bytes
    colour: Colour
    by_number: dict[int, Item]
    pair: tuple[int, str]
    tags: set[str]
    address: Address
    state: Literal["open", "shut"] = "open"


class Node(msgspec.Struct):
    children: "list[Node]" = []


class Refers(msgspec.Struct):
    later: "Later"


class Later(msgspec.Struct):
    id: int


@pytest.fixture
def registry() -> Registry:
    return Registry()


@pytest.fixture
def order(registry: Registry) -> Schema[Order]:
    registry.schema("shop.order", version=3)(Order)
    return registry.of(Order)


def refused(call: Callable[[], object]) -> SchemaError:
    with pytest.raises(SchemaError) as caught:
        call()
    return caught.value


# --- there and back -----------------------------------------------------------------------------

VALUES = [
    (Order, Order("1", 5, [Item("a", 2)], "now")),
    (Placed, Placed("1", datetime(2025, 1, 1, tzinfo=UTC))),
    (Cancelled, Cancelled("1")),
    (Paid, Paid(id="1", sum=Decimal("0.10"))),
    (Address, {"city": "Corinth", "zip": 20100}),
    (Page[Item], Page([Item("a")])),
    (list[Paid], [Paid(id="1", sum=Decimal(3))]),
    (dict[str, Item], {"a": Item("a")}),
    (str, "grün"),
    (int, -3),
    (float, 3),
    (bytes, b"\x00\xff raw"),
    (bool, True),
    (str | None, None),
    (Any, {"any": [1, None]}),
    (
        Everything,
        Everything(
            at=datetime(2025, 1, 1, tzinfo=UTC),
            key=uuid.UUID(int=7),
            price=Decimal("1.10"),
            blob=b"\x00",
            colour=Colour.RED,
            by_number={1: Item("a")},
            pair=(1, "a"),
            tags={"x"},
            address={"city": "Corinth", "zip": 1},
        ),
    ),
]


@pytest.mark.parametrize(("type_", "value"), VALUES, ids=[str(type_) for type_, _ in VALUES])
def test_a_value_comes_back_as_it_was_sent(registry: Registry, type_: Any, value: object):
    found = registry.of(type_)
    assert found.decode(found.encode(value)) == value


@given(st.builds(Order, st.text(), st.integers(-(2**63), 2**63 - 1), note=st.none() | st.text()))
def test_any_order_comes_back_as_it_was_sent(value: Order):
    found = schema_of(Order)
    assert found.decode(found.encode(value)) == value


def test_bytes_travel_as_they_are_and_all_else_as_json(registry: Registry):
    assert registry.of(bytes).encode(b"\x00") == b"\x00"
    assert registry.of(bytes).datacontenttype == "application/octet-stream"
    assert registry.of(Order).datacontenttype == "application/json"
    assert registry.of(Paid).datacontenttype == "application/json"


def test_a_registered_type_tells_its_name_and_version(order: Schema[Order]):
    assert (order.name, order.version, order.type) == ("shop.order", 3, Order)
    assert order.dataschema == "schema:shop.order/3"


def test_an_unregistered_class_has_its_own_name_and_no_version(registry: Registry):
    found = registry.of(Order)
    assert (found.name, found.version, found.dataschema) == ("Order", 0, "")


def test_a_plain_type_has_no_name(registry: Registry):
    assert registry.of(list[int]).name == ""


def test_a_type_has_one_schema(registry: Registry):
    assert registry.of(Order) is registry.of(Order)


def test_a_class_may_refer_to_one_that_comes_later(registry: Registry):
    class Early(msgspec.Struct):
        later: "NotYet"  # pyright: ignore[reportUndefinedVariable]  # noqa: F821

    found = registry.of(Early)
    with pytest.raises(NameError):
        _ = found.codec
    globals()["NotYet"] = Item
    try:
        assert found.decode(b'{"later":{"sku":"a"}}') == Early(Item("a"))
    finally:
        del globals()["NotYet"]


# --- what is refused, and how it is said --------------------------------------------------------


def test_every_fault_of_a_body_is_told_with_its_path(order: Schema[Order]):
    error = refused(lambda: order.decode(b'{"id":1,"items":[{"count":0},{"sku":"b"},7],"note":2}'))
    assert error.problems == (
        "id: Expected `str`, got `int`",
        "total: missing",
        "items[0].sku: missing",
        "items[0].count: Expected `int` >= 1",
        "items[2]: Expected `object`, got `int`",
        "note: Expected `str | null`, got `int`",
    )
    assert str(error).startswith("not a shop.order/3: id: Expected `str`, got `int`; total: miss")
    assert isinstance(error.__cause__, msgspec.ValidationError)


@pytest.mark.parametrize(
    ("type_", "body", "problems"),
    [
        (Placed, b'{"at":"noon","by":1}', ["id: missing", "at:", "by:"]),
        (Cancelled, b'{"order_id":"1"}', ["orderId: missing"]),
        (Address, b'{"zip":"x"}', ["city: missing", "zip: Expected `int`"]),
        (Page[Item], b'{"items":[{}]}', ["items[0].sku: missing"]),
        (list[Item], b'[{},{"sku":"a"},{"sku":1}]', ["[0].sku: missing", "[2].sku: Expected"]),
        (dict[str, Item], b'{"a":{},"b":{"sku":1}}', ["a.sku: missing", "b.sku: Expected"]),
        (tuple[Item, ...], b"[{}]", ["[0].sku: missing"]),
        (Item | None, b"{}", ["sku: missing"]),
        (int, b'"x"', ["body: Expected `int`, got `str`"]),
        (Paid, b'{"sum":0}', ["id: Field required", "sum: Input should be greater than 0"]),
        (list[Paid], b'[{"id":"1","sum":0}]', ["[0].sum: Input should be greater"]),
        (Order, b"", ["body: Input data was truncated"]),
        (Order, b'{"id":', ["body: Input data was truncated"]),
        (Order, b"\xff\xfe", ["body: JSON is malformed"]),
        (Order, b'{"id":"\xff"}', ["body:"]),
        (Order, b"[1]", ["body: Expected `object`, got `array`"]),
        (Paid, b"{", ["body: Invalid JSON"]),
        (Any, b"[" * 100_000, ["body: maximum recursion depth"]),
        (Node, b'{"children":[' * 50_000, ["body: maximum recursion depth"]),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_each_library_tells_all_faults_in_the_same_words(
    registry: Registry, type_: Any, body: bytes, problems: list[str]
):
    found = refused(lambda: registry.of(type_).decode(body)).problems
    assert len(found) == len(problems), found
    for told, expected in zip(found, problems, strict=True):
        assert told.startswith(expected)


def test_a_wrong_value_of_any_kind_is_told_in_place(registry: Registry):
    body = (
        b'{"at":1.5,"key":"x","price":"x","blob":"?","colour":"blue","by_number":{"1":{}},'
        b'"pair":[1],"tags":[1],"address":{"city":1,"zip":1},"state":"ajar"}'
    )
    problems = refused(lambda: registry.of(Everything).decode(body)).problems
    assert {told.partition(":")[0] for told in problems} >= {
        *("key", "price", "blob", "colour", "by_number.1.sku", "pair", "tags[0]"),
        *("address.city", "state"),
    }


def test_a_thousand_faults_are_not_all_told(order: Schema[Order]):
    body = b'{"id":"1","total":1,"items":[' + b",".join([b"{}"] * 1000) + b"]}"
    assert len(refused(lambda: order.decode(body)).problems) == 50


def test_a_check_of_the_class_itself_is_a_fault_too(registry: Registry):
    class Range(msgspec.Struct):
        low: int
        high: int

        def __post_init__(self) -> None:
            if self.low > self.high:
                raise ValueError("low is over high")

    error = refused(lambda: registry.of(Range).decode(b'{"low":2,"high":1}'))
    assert error.problems == ("body: low is over high",)


@pytest.mark.parametrize(
    ("type_", "wrong", "told"),
    [
        (Order, {"id": "1"}, r"expected Order for shop\.order/3, got dict: \{'id': '1'\}"),
        (Placed, Order("1", 2), "expected Placed, got Order"),
        (str, 5, "expected str, got int: 5"),
        (bytes, "text", "expected bytes"),
        (list[int], "text", r"expected list\[int\], got str"),
        (dict[str, int], [1], r"expected dict\[str, int\]"),
        (Address, [1], "expected Address"),
        (str | None, 5, r"expected str \| None"),
        (Page[Item], Item("a"), r"expected Page\[Item\]"),
    ],
    ids=str,
)
def test_sending_another_type_names_both(
    registry: Registry, order: Schema[Order], type_: Any, wrong: object, told: str
):
    with pytest.raises(SchemaError, match=told):
        registry.of(type_).encode(wrong)


def test_a_value_that_json_cannot_carry_is_refused_when_sent(registry: Registry):
    with pytest.raises(SchemaError, match=r"dict\[str, Any\] cannot be sent: .*object"):
        registry.of(dict[str, Any]).encode({"a": object()})


def test_a_pydantic_value_with_wrong_parts_is_refused_when_sent(registry: Registry):
    wrong = Paid.model_construct(id=7, amount="x")
    with pytest.raises(SchemaError, match="Paid cannot be sent"):
        registry.of(Paid).encode(wrong)


def test_a_long_value_is_told_shortly(registry: Registry):
    long: Any = "x" * 10_000
    assert len(str(refused(lambda: registry.of(int).encode(long)))) < 200


@pytest.mark.parametrize("type_", [object(), complex, list[complex], Placed | Order | int])
def test_a_type_no_library_can_carry_is_refused_when_declared(registry: Registry, type_: Any):
    with pytest.raises(ConfigError, match=r"cannot be a payload: .*; use a msgspec\.Struct"):
        registry.of(type_)


def test_what_is_no_type_is_refused(registry: Registry):
    with pytest.raises(ConfigError, match=r"\[<class 'int'>\] is no type; write one, as list"):
        registry.of([int])


# --- versions -----------------------------------------------------------------------------------


@pytest.fixture
def led(registry: Registry, order: Schema[Order]) -> Schema[Order]:
    @registry.upcaster("shop.order", version=1)
    def _named(old: dict[str, Any]) -> dict[str, Any]:
        return {"id": old["number"], "total": old["total"]}

    @registry.upcaster("shop.order", version=2)
    def _in_cents(old: dict[str, Any]) -> dict[str, Any]:
        return {**old, "total": old["total"] * 100}

    return order


def test_old_versions_are_led_step_by_step_to_the_newest(led: Schema[Order]):
    first = led.decode(b'{"number":"1","total":3}', dataschema="schema:shop.order/1")
    second = led.decode(b'{"id":"1","total":3}', dataschema="schema:shop.order/2")
    assert first == second == Order("1", 300)


@pytest.mark.parametrize(
    "said", ["schema:shop.order/3", "", "https://example.org/order", "schema:"]
)
def test_the_newest_the_unsaid_and_the_foreign_are_read_as_they_are(led: Schema[Order], said: str):
    assert led.decode(b'{"id":"1","total":3}', dataschema=said) == Order("1", 3)


def test_a_missing_step_is_named_with_what_to_write(registry: Registry, order: Schema[Order]):
    registry.upcaster("shop.order", version=1)(dict)
    with pytest.raises(SchemaError) as caught:
        order.decode(b"{}", dataschema="schema:shop.order/1")
    assert "nothing leads shop.order/2 to version 3" in str(caught.value)
    assert '@upcaster("shop.order", version=2)' in str(caught.value)


def test_a_newer_version_is_refused_with_the_order_of_deployment(order: Schema[Order]):
    with pytest.raises(SchemaError, match=r"shop\.order/4 is newer than .*/3.*consumers first"):
        order.decode(b"{}", dataschema="schema:shop.order/4")


def test_another_name_is_refused(order: Schema[Order]):
    with pytest.raises(SchemaError, match=r"expected shop\.order/3, got shop\.paid/3"):
        order.decode(b"{}", dataschema="schema:shop.paid/3")


def test_a_failing_upcaster_is_named_and_its_error_kept(led: Schema[Order]):
    error = refused(lambda: led.decode(b"{}", dataschema="schema:shop.order/1"))
    assert str(error) == "the upcaster of shop.order/1 failed: KeyError('number')"
    assert isinstance(error.__cause__, KeyError)


def test_what_an_upcaster_returns_is_checked(registry: Registry, order: Schema[Order]):
    registry.upcaster("shop.order", version=2)(lambda _: {"id": 7})
    error = refused(lambda: order.decode(b"{}", dataschema="schema:shop.order/2"))
    assert error.problems == ("id: Expected `str`, got `int`", "total: missing")


def test_an_upcaster_that_returns_what_json_cannot_carry_is_named(
    registry: Registry, order: Schema[Order]
):
    registry.upcaster("shop.order", version=2)(lambda _: {"id": object()})
    with pytest.raises(SchemaError, match=r"upcasters of shop\.order/2 return no JSON"):
        order.decode(b"{}", dataschema="schema:shop.order/2")


@pytest.mark.parametrize("body", [b"{", b"[1]", b""])
def test_an_old_body_that_is_no_object_is_refused(led: Schema[Order], body: bytes):
    error = refused(lambda: led.decode(body, dataschema="schema:shop.order/1"))
    assert str(error).startswith("not a shop.order/1: ")
    assert len(error.problems) == 1


def test_old_pydantic_bodies_are_led_too(registry: Registry):
    registry.schema("paid", version=2)(Paid)
    registry.upcaster("paid", version=1)(lambda old: {"id": old["id"], "sum": "0.5"})
    found = registry.of(Paid).decode(b'{"id":"1"}', dataschema="schema:paid/1")
    assert found == Paid(id="1", sum=Decimal("0.5"))


def test_an_unregistered_type_reads_any_version_that_fits(registry: Registry):
    assert registry.of(dict[str, int]).decode(b'{"a":1}', dataschema="schema:x/9") == {"a": 1}


# --- registering --------------------------------------------------------------------------------


def test_two_classes_cannot_have_one_name_and_version(registry: Registry):
    registry.schema("shop.order")(Order)
    with pytest.raises(ConfigError, match=r"shop\.order/1 has its class at .*:\d+, and another at"):
        registry.schema("shop.order")(Placed)
    assert registry.of(Placed).version == 0


def test_versions_of_one_name_are_classes_of_their_own(registry: Registry):
    registry.schema("shop.order", version=1)(Item)
    registry.schema("shop.order", version=2)(Order)
    assert registry.of(Item).dataschema == "schema:shop.order/1"
    assert registry.of(Order).dataschema == "schema:shop.order/2"


def test_a_class_has_one_name(registry: Registry):
    registry.schema("a")(Order)
    with pytest.raises(ConfigError, match="Order is a/1 already"):
        registry.schema("b")(Order)


def test_a_step_has_one_upcaster(registry: Registry):
    registry.upcaster("a", version=1)(dict)
    with pytest.raises(ConfigError, match="a/1 has its upcaster at"):
        registry.upcaster("a", version=1)(dict)


def test_a_module_may_be_loaded_again(registry: Registry):
    def load() -> type:
        @registry.schema("again")
        class Again(msgspec.Struct):
            id: str

        return Again

    first, second = load(), load()
    assert registry.of(first).version == registry.of(second).version == 1


@pytest.mark.parametrize("name", ["", "shop order", "shop/order", ".order", "order.", "a:b"])
def test_a_malformed_name_is_refused(registry: Registry, name: str):
    with pytest.raises(ConfigError, match="expected letters, digits"):
        registry.schema(name)


@pytest.mark.parametrize("version", [0, -1])
def test_a_version_begins_at_one(registry: Registry, version: int):
    with pytest.raises(ConfigError, match=f"version is {version}, expected 1 or more"):
        registry.schema("a", version=version)
    with pytest.raises(ConfigError, match=f"version is {version}, expected 1 or more"):
        registry.upcaster("a", version=version)


def test_the_program_has_one_registry():
    @schema("tests.one", version=2)
    class One(msgspec.Struct):
        id: str

    @upcaster("tests.one", version=1)
    def _renamed(old: dict[str, Any]) -> dict[str, Any]:
        return {"id": old["name"]}

    assert schema_of(One).decode(b'{"name":"a"}', dataschema="schema:tests.one/1") == One("a")


# --- unions -------------------------------------------------------------------------------------


@pytest.fixture
def events(registry: Registry) -> Schema[Any]:
    registry.schema("shop.placed", version=2)(Placed)
    registry.schema("shop.paid")(Paid)
    registry.upcaster("shop.placed", version=1)(
        lambda old: {"id": old["id"], "at": "2025-01-01T00:00:00Z"}
    )
    return registry.of(Placed | Cancelled | Paid)


def test_the_value_picks_the_member_that_is_sent(events: Schema[Any]):
    assert events.member(Cancelled("1")).name == "Cancelled"
    assert events.member(Paid(id="1", sum=Decimal(1))).dataschema == "schema:shop.paid/1"
    assert events.encode(Cancelled("1")) == b'{"orderId":"1"}'


def test_a_subclass_is_sent_as_its_member(events: Schema[Any]):
    class Refused(Cancelled):
        pass

    assert events.member(Refused("1")).name == "Cancelled"


def test_the_type_or_the_schema_of_the_message_picks_the_member(events: Schema[Any]):
    body = b'{"orderId":"1","id":"1","sum":"2"}'
    assert events.decode(body, type="Cancelled") == Cancelled("1")
    assert events.decode(body, type="shop.paid") == Paid(id="1", sum=Decimal(2))
    assert events.decode(body, type="x", dataschema="schema:shop.paid/1").id == "1"


def test_a_member_is_led_by_its_upcasters(events: Schema[Any]):
    found = events.decode(b'{"id":"1"}', dataschema="schema:shop.placed/1")
    assert found == Placed("1", datetime(2025, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize("type_", ["shop.gone", ""])
def test_an_unknown_name_is_refused_with_those_that_are_known(events: Schema[Any], type_: str):
    told = f"of type {type_!r} is none of shop.placed, Cancelled, shop.paid; add its class"
    with pytest.raises(SchemaError, match=told):
        events.decode(b"{}", type=type_)


def test_a_value_of_no_member_is_refused(events: Schema[Any]):
    with pytest.raises(SchemaError, match=r"expected Placed \| Cancelled \| Paid, got Order"):
        events.encode(Order("1", 2))


def test_two_members_of_one_name_are_refused(registry: Registry):
    registry.schema("a", version=1)(Item)
    registry.schema("a", version=2)(Order)
    with pytest.raises(ConfigError, match=r"Item \| Order has two members of one name"):
        registry.of(Item | Order)


def test_a_union_of_plain_types_is_no_choice(registry: Registry):
    assert not isinstance(registry.of(int | str), UnionSchema)


# --- JSON Schema --------------------------------------------------------------------------------


def test_the_json_schema_of_a_union_holds_together(events: Schema[Any]):
    document = events.json_schema()
    assert [each["$ref"] for each in document["anyOf"] if "$ref" in each] == [
        "#/$defs/shop.placed.Placed",
        "#/$defs/Cancelled.Cancelled",
    ]
    assert document["$defs"]["shop.placed.Placed"]["required"] == ["id", "at"]
    assert document["anyOf"][2]["required"] == ["id", "sum"]


def test_bytes_are_octets_in_json_schema_too(registry: Registry):
    assert registry.of(bytes).json_schema()["contentMediaType"] == "application/octet-stream"


# --- what is paid for ---------------------------------------------------------------------------


def test_pydantic_is_imported_only_by_those_who_use_it():
    program = (
        "import sys, msgspec\nfrom isthmus.schema import schema_of\n"
        "class A(msgspec.Struct):\n    x: int\n"
        "schema_of(A).decode(schema_of(A).encode(A(1)))\n"
        "sys.exit('pydantic' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_bytes_within_a_body_are_base64(registry: Registry):
    assert base64.b64encode(b"\x00") in registry.of(list[bytes]).encode([b"\x00"])


# --- whole numbers --------------------------------------------------------------------------


@pytest.mark.parametrize("written", ["2.0", "2e0", "20e-1", "2"])
def test_a_whole_number_is_an_integer_however_it_is_written(written: str) -> None:
    assert schema_of(dict[str, int]).decode(b'{"n": %s}' % written.encode()) == {"n": 2}


def test_a_large_whole_number_is_read_exactly() -> None:
    assert schema_of(list[int]).decode(b"[9007199254740993.0]") == [9007199254740993]


@pytest.mark.parametrize("written", ["2.5", "1e300", "1e-1", "1e999999999", '"2"'])
def test_what_is_no_whole_number_is_refused_as_an_integer(written: str) -> None:
    with pytest.raises(SchemaError, match=r"Expected `int`, got|Number out of range"):
        schema_of(dict[str, int]).decode(b'{"n": %s, "m": 2.0}' % written.encode())


def test_whole_numbers_that_may_be_others_stay_what_they_are() -> None:
    read = schema_of(dict[str, float | str]).decode(b'{"n": 2.0}')
    assert isinstance(read["n"], float)


# --- bodies without attributes ----------------------------------------------------------------


class Tin(msgspec.Struct, tag="tin"):
    size: int


class Jar(msgspec.Struct, tag="jar"):
    lid: bool


def test_a_tag_tells_what_a_body_without_a_name_is() -> None:
    schema = schema_of(Tin | Jar)
    assert schema.read(b'{"type": "jar", "lid": true}') == Jar(True)
    with pytest.raises(SchemaError, match="missing required field `type`"):
        schema.read(b'{"size": 1}')


def test_without_tags_a_body_is_the_first_that_it_fits() -> None:
    schema = schema_of(Item | Placed)
    assert schema.read(b'{"sku": "a"}') == Item("a")
    placed = schema.read(b'{"id": "a", "at": "2026-01-01T00:00:00Z"}')
    assert isinstance(placed, Placed)


def test_a_body_that_fits_none_is_refused_with_the_faults_of_each() -> None:
    with pytest.raises(SchemaError) as refused:
        schema_of(Item | Placed).read(b"{}")
    assert list(refused.value.problems) == [
        "sku: missing (as Item)",
        "id: missing (as Placed)",
        "at: missing (as Placed)",
    ]
