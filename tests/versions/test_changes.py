"""Documents are led up and down, wherever in them the changed objects lie."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Generic, Literal, NotRequired, TypedDict, TypeVar

import msgspec
import pydantic
import pytest

from isthmus.errors import ConfigError, SchemaError
from isthmus.versions import MigrationError, UnknownVersionError, Versions

T = TypeVar("T")


class OrderV1(msgspec.Struct):
    id: str
    total: str


class Order(msgspec.Struct):
    id: str
    total: int


@pytest.fixture
def versions() -> Versions:
    table = Versions("v2", "v1")

    class Cents:
        def upgrade(self, old: dict[str, Any]) -> dict[str, Any]:
            return {**old, "total": round(float(old["total"]) * 100)}

        def downgrade(self, new: dict[str, Any]) -> dict[str, Any]:
            new["total"] = f"{new['total'] / 100:.2f}"
            return new

    @table.change("v2", Order)
    class TotalInCents(Cents):
        """Totals are in cents, not in a decimal string."""

        was = OrderV1

    @table.change("v2", Line)
    class LineInCents(Cents):
        """Those of lines, too."""

        was = LineV1

    return table


def rendered(versions: Versions, value: Any, type_: Any, version: str = "v1") -> Any:
    return msgspec.json.decode(versions.render(value, version, type=type_))


def test_a_value_is_rendered_for_an_older_version(versions: Versions) -> None:
    assert versions.render(Order("a", 1250), "v1") == b'{"id":"a","total":"12.50"}'
    assert versions.render(Order("a", 1250), "v2") == b'{"id":"a","total":1250}'


def test_a_value_of_an_older_version_is_read(versions: Versions) -> None:
    assert versions.read(Order, b'{"id":"a","total":"12.50"}', "v1") == Order("a", 1250)
    assert versions.read(Order, b'{"id":"a","total":1250}', "v2") == Order("a", 1250)


class Basket(msgspec.Struct, rename="camel"):
    all_orders: list[Order]
    first: Order | None = None


@dataclasses.dataclass
class Page(Generic[T]):
    items: list[T]
    next: str = ""


class Line(pydantic.BaseModel):
    id: str
    total: int


class LineV1(pydantic.BaseModel):
    id: str
    total: str


class Modelled(pydantic.BaseModel):
    by_id: dict[str, Line] = pydantic.Field(alias="byId")


class Keyed(TypedDict):
    order: Order
    other: NotRequired[Order]


class Tree(msgspec.Struct):
    order: Order
    children: "list[Tree]" = []


OLD, NEW = {"id": "a", "total": "1.00"}, {"id": "a", "total": 100}


@pytest.mark.parametrize(
    ("type_", "value", "old"),
    [
        (list[Order], [Order("a", 100)], [OLD]),
        (Sequence[Order], [Order("a", 100)], [OLD]),
        (dict[str, list[Order]], {"x": [Order("a", 100)]}, {"x": [OLD]}),
        (Mapping[str, Order], {"x": Order("a", 100)}, {"x": OLD}),
        (tuple[int, Order], (1, Order("a", 100)), [1, OLD]),
        (tuple[Order, ...], (Order("a", 100),), [OLD]),
        (Order | None, Order("a", 100), OLD),
        (Order | list[Order] | None, [Order("a", 100)], [OLD]),
        (Annotated[Order, "marked"], Order("a", 100), OLD),
        (Basket, Basket([Order("a", 100)], Order("a", 100)), {"allOrders": [OLD], "first": OLD}),
        (Page[Order], Page([Order("a", 100)]), {"items": [OLD], "next": ""}),
        (Modelled, Modelled(byId={"x": Line(id="a", total=100)}), {"byId": {"x": OLD}}),
        (Keyed, {"order": Order("a", 100)}, {"order": OLD}),
        (
            Tree,
            Tree(Order("a", 100), [Tree(Order("a", 100))]),
            {"order": OLD, "children": [{"order": OLD, "children": []}]},
        ),
    ],
    ids=str,
)
def test_a_type_is_found_wherever_it_lies(
    versions: Versions, type_: Any, value: Any, old: Any
) -> None:
    assert rendered(versions, value, type_) == old
    assert versions.read(type_, msgspec.json.encode(old), "v1") == value


class Card(msgspec.Struct, tag="card"):
    order: Order


class Cash(msgspec.Struct, tag="cash"):
    order: str


class Kind(pydantic.BaseModel):
    kind: Literal["kind"] = "kind"
    order: Line


class Other(pydantic.BaseModel):
    kind: Literal["other"] = "other"
    order: str


@pytest.mark.parametrize(
    ("type_", "mine", "others"),
    [
        (Card | Cash, Card(Order("a", 100)), Cash("a")),
        (Kind | Other, Kind(order=Line(id="a", total=100)), Other(order="a")),
    ],
    ids=str,
)
def test_members_of_a_union_are_told_apart_by_what_only_they_say(
    versions: Versions, type_: Any, mine: Any, others: Any
) -> None:
    assert rendered(versions, mine, type_)["order"] == OLD
    assert rendered(versions, others, type_)["order"] == "a"


def test_a_union_that_cannot_be_told_apart_is_refused(versions: Versions) -> None:
    with pytest.raises(ConfigError, match=r"Page\[Order\] \| Basket cannot be told .* tag=True"):
        versions.migration(Page[Order] | Basket, "v1")


def test_types_without_changes_are_not_led_at_all(versions: Versions) -> None:
    assert versions.migration(Cash, "v1") == (None, None)
    assert versions.migration(list[Order], "v2") == (None, None)


# --- several versions, several changes ------------------------------------------------------


class Money(msgspec.Struct):
    amount: int
    currency: str


class Invoice(msgspec.Struct):
    lines: list[Money]
    payer: str


class InvoiceV2(msgspec.Struct):
    entries: list[Money]
    payer: str


@pytest.fixture
def invoices() -> Versions:
    table = Versions("v3", "v2", "v1")

    @table.change("v3", Invoice)
    class LinesInsteadOfEntries:
        """`entries` are called `lines`."""

        was = InvoiceV2

        def upgrade(self, old: dict[str, Any]) -> dict[str, Any]:
            old["lines"] = old.pop("entries")
            return old

        def downgrade(self, new: dict[str, Any]) -> dict[str, Any]:
            new["entries"] = new.pop("lines")
            return new

    @table.change("v2", Money)
    class MoneyHasACurrency:
        """Amounts say their currency."""

        def upgrade(self, old: dict[str, Any]) -> dict[str, Any]:
            return {"amount": old["cents"], "currency": "EUR"}

        def downgrade(self, new: dict[str, Any]) -> dict[str, Any]:
            return {"cents": new["amount"]}

    @table.change("v2", Invoice)
    class PayerInsteadOfCustomer:
        """`customer` is called `payer`."""

        def upgrade(self, old: dict[str, Any]) -> dict[str, Any]:
            old["payer"] = old.pop("customer")
            return old

        def downgrade(self, new: dict[str, Any]) -> dict[str, Any]:
            new["customer"] = new.pop("payer")
            return new

    return table


def test_changes_are_chained_through_the_versions_between(invoices: Versions) -> None:
    v1 = {"entries": [{"cents": 5}], "customer": "ann"}
    v2 = {"entries": [{"amount": 5, "currency": "EUR"}], "payer": "ann"}
    v3 = Invoice([Money(5, "EUR")], "ann")
    for version, document in (("v1", v1), ("v2", v2)):
        assert rendered(invoices, v3, Invoice, version) == document
        assert invoices.read(Invoice, msgspec.json.encode(document), version) == v3


def test_several_changes_of_one_version_go_back_in_the_opposite_order() -> None:
    table, seen = Versions("v2", "v1"), list[str]()

    def change(name: str) -> None:
        @table.change("v2", Cash)
        class Noted:
            def upgrade(self, old: dict[str, Any]) -> dict[str, Any]:
                seen.append(f"{name} up")
                return old

            def downgrade(self, new: dict[str, Any]) -> dict[str, Any]:
                seen.append(f"{name} down")
                return new

    change("one")
    change("two")
    table.read(Cash, table.render(Cash("a"), "v1"), "v1")
    assert seen == ["two down", "one down", "one up", "two up"]


def test_a_change_sees_what_lies_inside_in_its_old_form_both_ways(invoices: Versions) -> None:
    seen = list[Any]()

    @invoices.change("v2", Invoice)
    class Looking:
        def upgrade(self, old: dict[str, Any]) -> dict[str, Any]:
            seen.append(list(old["entries"]))
            return old

        def downgrade(self, new: dict[str, Any]) -> dict[str, Any]:
            seen.append(list(new["entries"]))
            return new

    body = invoices.render(Invoice([Money(5, "EUR")], "ann"), "v1")
    invoices.read(Invoice, body, "v1")
    assert seen == [[{"cents": 5}], [{"cents": 5}]]


# --- what goes wrong --------------------------------------------------------------------------


def test_what_does_not_fit_is_told_in_the_older_versions_words(versions: Versions) -> None:
    with pytest.raises(SchemaError) as caught:
        versions.read(list[Order], b'[{"id":"a","total":"1"},{"total":7}]', "v1")
    assert caught.value.problems == (
        "[1].id: missing",
        "[1].total: Expected `str`, got `int`",
    )


def test_a_change_that_fails_says_which_it_is(versions: Versions) -> None:
    with pytest.raises(MigrationError, match=r"TotalInCents.upgrade \(v2, Order\) failed: Value"):
        versions.read(Order, b'{"id":"a","total":"many"}', "v1")


def test_a_change_that_forgets_to_return_is_told_so() -> None:
    table = Versions("v2", "v1")

    @table.change("v2", Cash)
    class Forgetful:
        def downgrade(self, new: dict[str, Any]) -> None:
            new["order"] = ""

    with pytest.raises(MigrationError, match=r"Forgetful.downgrade .* returned None"):
        table.render(Cash("a"), "v1")


def test_a_change_that_makes_no_json_is_told_so() -> None:
    table = Versions("v2", "v1")

    @table.change("v2", Cash)
    class Odd:
        def downgrade(self, new: dict[str, Any]) -> Any:
            return {"it": object()}

    with pytest.raises(MigrationError, match="made no JSON of v1"):
        table.render(Cash("a"), "v1")


def test_a_version_that_there_is_not_is_refused(versions: Versions) -> None:
    with pytest.raises(UnknownVersionError, match="there is no version 'v7'; there are v2, v1"):
        versions.render(Order("a", 1), "v7")
    with pytest.raises(UnknownVersionError):
        versions.change("v7", Order)


def test_a_collection_without_a_type_is_refused(versions: Versions) -> None:
    with pytest.raises(ConfigError, match=r"type=list\[Order\]"):
        versions.render([Order("a", 1)], "v1")


class Row(msgspec.Struct, array_like=True):
    id: str


@pytest.mark.parametrize(
    ("version", "subject", "path", "why"),
    [
        ("v1", Order, "", "oldest version"),
        ("v2", None, "", "say what it changed"),
        ("v2", Order, "POST /orders", "say what it changed"),
        ("v2", list[Order], "", "say what it changed"),
        ("v2", None, "/orders", "expected a method and a path"),
        ("v2", Row, "", "array_like"),
    ],
)
def test_a_change_of_nothing_that_can_change_is_refused(
    versions: Versions, version: str, subject: Any, path: str, why: str
) -> None:
    with pytest.raises(ConfigError, match=why):
        versions.change(version, subject, path=path)


def test_a_class_that_describes_no_change_is_refused(versions: Versions) -> None:
    class Silent: ...

    class Waiting:
        async def upgrade(self, old: dict[str, Any]) -> dict[str, Any]:
            return old

    class Same:
        """It was the same."""

        was = Order

    class OfAnOperation:
        """It has no model."""

        was = OrderV1

    for cls, why in ((Silent, "says nothing"), (Waiting, "not async"), (Same, "as it was before")):
        with pytest.raises(ConfigError, match=why):
            versions.change("v2", Order)(cls)
    with pytest.raises(ConfigError, match="a change of an operation has none"):
        versions.change("v2", path="GET /orders")(OfAnOperation)


def test_one_class_is_the_past_of_one_type(versions: Versions) -> None:
    class Again:
        """Another was the same."""

        was = OrderV1

    with pytest.raises(ConfigError, match="which is what Order was, too"):
        versions.change("v2", Cash)(Again)
    with pytest.raises(ConfigError, match="change that one"):
        versions.change("v2", OrderV1)(type("Late", (), {"__doc__": "told"}))


def test_a_function_whose_name_is_almost_that_of_a_lead_is_refused() -> None:
    class TotalInCents:
        """Totals are in cents."""

        def upgrad(self, old: dict[str, Any]) -> dict[str, Any]:
            return old

        def rounded(self, total: float) -> int:
            return round(total)

    with pytest.raises(ConfigError, match=r"upgrad is not looked at; upgrade was meant\?"):
        Versions("v2", "v1").change("v2", Order)(TotalInCents)
