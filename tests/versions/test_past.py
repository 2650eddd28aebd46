"""The types of an older version: for its document, and to judge its requests."""

import dataclasses
from typing import Annotated, Any, NotRequired, TypedDict

import msgspec
import pydantic
import pytest

from isthmus.schema import schema_of
from isthmus.versions import Versions


class OrderV1(msgspec.Struct):
    total: str


class Order(msgspec.Struct):
    total: int


@dataclasses.dataclass
class LineV1:
    sku: str


@dataclasses.dataclass
class Line:
    sku: int


class Basket(msgspec.Struct, rename="camel", tag="basket", forbid_unknown_fields=True):
    """What a customer has."""

    first_order: Order
    rest: list[Order] = msgspec.field(default_factory=list[Order])
    note: Annotated[str, msgspec.Meta(max_length=3)] = "-"


@dataclasses.dataclass
class Parcel:
    line: Line
    weight: int = 1


class Keyed(TypedDict):
    order: Order
    note: NotRequired[str]


class Page(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid")

    line: Line = pydantic.Field(alias="theLine")
    count: int = pydantic.Field(default=1, ge=0)


class Tree(msgspec.Struct):
    order: Order
    children: "list[Tree]" = []


@pytest.fixture
def versions() -> Versions:
    table = Versions("v3", "v2", "v1")

    @table.change("v2", Order)
    class Cents:
        was = OrderV1

        def upgrade(self, old: dict[str, Any]) -> dict[str, Any]:
            return old

    @table.change("v2", Line)
    class Numbers:
        was = LineV1

        def upgrade(self, old: dict[str, Any]) -> dict[str, Any]:
            return old

    return table


def document(versions: Versions, type_: Any, version: str = "v1") -> dict[str, Any]:
    return schema_of(versions.as_of(version)(type_)).json_schema()


def test_a_type_is_what_it_was(versions: Versions) -> None:
    as_of = versions.as_of("v1")
    assert as_of(Order) is OrderV1
    assert as_of(list[Order]) == list[OrderV1]
    assert as_of(dict[str, Order | None]) == dict[str, OrderV1 | None]
    assert as_of(Annotated[Order, "x"]) == Annotated[OrderV1, "x"]


def test_what_nothing_changed_in_stays_itself(versions: Versions) -> None:
    for type_ in (int, list[str], Keyed, str | None):
        assert versions.as_of("v2")(type_) is type_
    assert versions.as_of("v1")(list[int]) == list[int]
    assert versions.as_of("v3")(Order) is Order


def test_a_struct_with_it_inside_keeps_all_else(versions: Versions) -> None:
    was = document(versions, Basket)
    now = msgspec.json.schema(Basket)
    basket, today = was["$defs"]["Basket"], now["$defs"]["Basket"]
    assert basket["properties"]["firstOrder"] == {"$ref": "#/$defs/OrderV1"}
    assert basket["properties"]["rest"]["items"] == {"$ref": "#/$defs/OrderV1"}
    for word in ("title", "type", "required", "additionalProperties", "description"):
        assert basket[word] == today[word], word
    for name in ("note", "type"):
        assert basket["properties"][name] == today["properties"][name]


def test_other_kinds_of_models_keep_all_else_too(versions: Versions) -> None:
    then = schema_of(versions.as_of("v1")(Parcel))
    assert then.decode(b'{"line":{"sku":"a"}}').weight == 1
    keyed = schema_of(versions.as_of("v1")(Keyed))
    assert keyed.decode(b'{"order":{"total":"1"}}') == {"order": OrderV1("1")}
    page = versions.as_of("v1")(Page)
    assert page.model_validate({"theLine": {"sku": "a"}}).count == 1
    for wrong in ({"theLine": {"sku": "a"}, "count": -1}, {"line": {}}, {"theLine": {}, "x": 1}):
        with pytest.raises(pydantic.ValidationError):
            page.model_validate(wrong)


def test_a_type_inside_itself_is_anything_there(versions: Versions) -> None:
    then = schema_of(versions.as_of("v1")(Tree))
    assert then.decode(b'{"order":{"total":"1"},"children":[7]}').children == [7]


def test_the_nearest_change_that_knows_says_what_a_type_was() -> None:
    table = Versions("v3", "v2", "v1")

    @table.change("v3", Order)
    class Later:
        was = OrderV1

        def upgrade(self, old: dict[str, Any]) -> dict[str, Any]:
            return old

    @table.change("v2", Order)
    class Unknown:
        def upgrade(self, old: dict[str, Any]) -> dict[str, Any]:
            return old

    assert table.as_of("v2")(Order) is table.as_of("v1")(Order) is OrderV1
    assert table.check_for(Order, "v2") is schema_of(OrderV1)
    assert table.check_for(Order, "v1") is None  # requests of v1 are not known to fit it


def test_what_is_told_later_holds_for_a_function_that_was_given_before(
    versions: Versions,
) -> None:
    class Late(msgspec.Struct):
        id: str

    class LateV1(msgspec.Struct):
        id: int

    as_of = versions.as_of("v1")
    assert as_of(Late) is Late
    versions.change("v3", Late)(type("Change", (), {"__doc__": "told", "was": LateV1}))
    assert as_of(Late) is LateV1
