"""A shop whose orders had their total as a decimal string in v1."""

from typing import Any

import msgspec
import pytest

from isthmus import App, Versions


class OrderV1(msgspec.Struct):
    id: str
    total: str


class Order(msgspec.Struct):
    id: str
    total: int


class TotalInCents:
    """Totals are in cents, not in a decimal string."""

    was = OrderV1

    def upgrade(self, old: dict[str, Any]) -> dict[str, Any]:
        return {**old, "total": round(float(old["total"]) * 100)}

    def downgrade(self, new: dict[str, Any]) -> dict[str, Any]:
        return {**new, "total": f"{new['total'] / 100:.2f}"}


@pytest.fixture
def app() -> App:
    app = App("shop")

    @app.post("/orders", status=201)
    async def take(order: Order) -> Order:
        return order

    @app.get("/orders")
    async def every() -> list[Order]:
        return [Order("a", 1250), Order("b", 1)]

    return app


@pytest.fixture
def describe():
    def described(versions: Versions) -> Versions:
        versions.change("v2", Order)(TotalInCents)
        return versions

    return described
