"""What `versions.check` finds, and that changes which are right pass it."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus.versions import Versions


class OrderV1(msgspec.Struct):
    id: str
    total: str


class Order(msgspec.Struct):
    id: str
    total: int
    note: str = ""


class Basket(msgspec.Struct):
    orders: list[Order]


def table(*, lossy: bool = False, misfit: bool = False) -> Versions:
    versions = Versions("v2", "v1")

    @versions.change("v2", Order)
    class TotalInCents:
        was = OrderV1

        def upgrade(self, old: dict[str, Any]) -> dict[str, Any]:
            euros, _, cents = old["total"].partition(".")
            return {**old, "total": int(euros) * 100 + int(cents)}

        def downgrade(self, new: dict[str, Any]) -> dict[str, Any]:
            total = new["total"]
            text = f"{total // 100}.00" if lossy else f"{total // 100}.{total % 100:02}"
            return {**new, "total": total if misfit else text}

    return versions


ORDERS = st.builds(Order, id=st.text(), total=st.integers(0, 10**9), note=st.text())


@given(st.builds(Basket, st.lists(ORDERS)))
def test_what_goes_down_and_comes_up_is_the_same(basket: Basket) -> None:
    assert table().check(basket) == []


@given(
    st.builds(OrderV1, st.text(), st.from_regex(r"(0|[1-9][0-9]{0,6})\.[0-9]{2}", fullmatch=True))
)
def test_what_goes_up_and_comes_down_is_the_same(old: OrderV1) -> None:
    assert table().check(old) == []


def test_what_is_lost_is_told_by_its_place() -> None:
    basket = Basket([Order("a", 100), Order("b", 1250)])
    assert table(lossy=True).check(basket) == [
        "Basket in v1: orders[1].total was 1250, and comes back as 1200"
    ]
    assert table(lossy=True).check(basket, except_=["orders[1].total"]) == []


def test_a_form_that_is_not_the_older_models_is_told() -> None:
    [told] = table(misfit=True).check(Order("a", 1))
    assert told == "Order in v1: total: Expected `str`, got `int`"


def test_a_change_that_fails_is_told() -> None:
    [told] = table().check(OrderV1("a", "much"))
    assert told.startswith("OrderV1 of v1: TotalInCents.upgrade (v2, Order) failed")


def test_values_of_several_types_are_checked_together() -> None:
    told = table(lossy=True).check(Order("a", 1), OrderV1("b", "1.50"), Basket([]))
    assert [each.partition(":")[0] for each in told] == ["Order in v1", "OrderV1 of v1"]


@pytest.mark.parametrize("value", [Order("a", 1), Basket([])])
def test_one_version_alone_has_nothing_to_break(value: Any) -> None:
    assert Versions("v1").check(value) == []
