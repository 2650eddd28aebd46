"""The shop's orders, fulfilled in both styles: on virtual time, and real rows."""

import asyncio
from collections.abc import AsyncIterator
from importlib import import_module
from pathlib import Path
from typing import Any

import httpx
import pytest

from isthmus.sagas.events import Failed, Undone
from isthmus.sagas.facts import StepRetried

Purchase: Any = import_module("orders.purchase").Purchase
FakePayments: Any = import_module("payments").FakePayments
Payments: Any = import_module("payments").Payments
app: Any = import_module("fulfilment.app").app
fulfil: Any = import_module("fulfilment.orchestrated").fulfil
choreographed: Any = import_module("fulfilment.choreographed")
patience: Any = import_module("fulfilment.patience").patience
flow: Any = import_module("fulfilment.watching").flow
orders: Any = import_module("orders.log").orders
views: Any = import_module("orders.views")

IMPOSSIBLE = {
    "unicorn": {"sku": "unicorn"},
    "declined": {"card": "declined"},
    "moon": {"to": "the moon"},
}


class Bank(FakePayments):
    """Does what it is asked; on a bad day nobody hears of it."""

    answers = True

    async def charge(self, charge: Any, *, idempotency_key: str) -> Any:
        receipt = await super().charge(charge, idempotency_key=idempotency_key)
        if not self.answers:
            raise ConnectionError("the line is dead")
        return receipt


class Fulfilment:
    """The service under test, and who charges the cards."""

    def __init__(self, trial: Any, bank: Bank) -> None:
        self.trial, self.bank = trial, bank

    async def order(self, id: str, style: str = "orchestrated", **words: str) -> None:
        purchase = Purchase(id=id, customer="anna", total=4200, **{"sku": "lamp", **words})
        async with app.transaction():
            if style == "orchestrated":
                await fulfil.start(purchase, id=id)
            else:
                await choreographed.place(purchase)

    async def settle(self) -> None:
        await self.trial.settle()

    async def left_over(self, sku: str = "lamp") -> int:
        async with app.transaction() as tx:
            rows = await tx.fetch("select left_over from stock where sku = :sku", sku=sku)
        return rows[0][0]

    async def parcels(self) -> list[str]:
        async with app.transaction() as tx:
            return [row[0] for row in await tx.fetch("select order_id from parcels")]

    @property
    def kept(self) -> dict[str, int]:
        """What was paid and not given back, by order."""
        back = {receipt.order for receipt in self.bank.refunded.values()}
        return {
            each.order: each.amount for each in self.bank.paid.values() if each.order not in back
        }


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[Fulfilment]:
    bank = Bank()
    trial = app.test(engine=f"sqlite:///{tmp_path}/test.db", adapters={Payments: bank})
    async with trial as t:
        yield Fulfilment(t, bank)


@pytest.mark.parametrize("style", ["orchestrated", "choreographed"])
async def test_an_order_is_reserved_paid_and_shipped_once(service: Fulfilment, style: str) -> None:
    before = await service.left_over()
    await service.order("o-1", style)
    await service.order("o-1", style)
    await service.settle()
    assert (await orders.load("o-1")).state == "shipped"
    assert await service.parcels() == ["o-1"]
    assert service.kept == {"o-1": 4200}
    assert await service.left_over() == before - 1


@pytest.mark.parametrize("why", IMPOSSIBLE)
@pytest.mark.parametrize("style", ["orchestrated", "choreographed"])
async def test_an_impossible_order_leaves_neither_money_nor_a_gap_on_the_shelf(
    service: Fulfilment, style: str, why: str
) -> None:
    before = await service.left_over()
    await service.order("o-1", style, **IMPOSSIBLE[why])
    await service.settle()
    order = await orders.load("o-1")
    assert (order.state, order.reserved, order.paid) == ("cancelled", False, 0)
    assert (await service.parcels(), service.kept) == ([], {})
    assert await service.left_over() == before
    if style == "orchestrated":
        assert (await fulfil.handle("o-1").status()).status == "compensated"
    else:
        assert (await flow.status("o-1")).status == "failed"


async def test_the_saga_undoes_the_last_first(service: Fulfilment) -> None:
    await service.order("o-1", to="the moon")
    await service.settle()
    history = await fulfil.handle("o-1").history()
    assert [each.name for each in history if isinstance(each, Failed)] == ["ship"]
    undone = [each.name for each in history if isinstance(each, Undone)]
    assert undone == ["charge", "reserve", "create"]


async def test_a_charge_that_was_never_answered_is_asked_for_and_given_back(
    service: Fulfilment,
) -> None:
    service.bank.answers, tried = False, asyncio.Event()
    leave = app.signals.listen(StepRetried, lambda _: tried.set())
    await service.order("o-1")
    await tried.wait()  # policies go by the machine's clock, which the trial does not know of
    leave()
    assert service.kept == {"o-1": 4200}
    await fulfil.handle("o-1").cancel("the customer left")
    service.bank.answers = True
    await service.settle()
    assert (await fulfil.handle("o-1").status()).status == "compensated"
    assert (service.kept, len(service.bank.paid)) == ({}, 1)


async def test_a_parcel_that_nobody_hears_of_is_given_up_and_undone(service: Fulfilment) -> None:
    before = await service.left_over()
    await service.order("o-1", "choreographed", to="Atlantis")
    await service.settle()
    assert list((await flow.status("o-1")).waits_for) == ["shipped"]
    await service.trial.advance(patience.shipped + 1)
    await service.settle()
    status = await flow.status("o-1")
    assert status.status == "timed_out"
    seen = [each.event for each in status.timeline]
    assert seen[:5] == ["placed", "reserved", "charged", "abandoned", "cancelled"]
    assert set(seen[5:]) == {"released", "refunded"}
    assert (service.kept, await service.left_over()) == ({}, before)


async def test_what_was_shipped_is_not_cancelled_by_a_flow_that_gave_it_up(
    service: Fulfilment,
) -> None:
    await service.order("o-1", "choreographed")
    await service.settle()
    purchase = Purchase(id="o-1", customer="anna", sku="lamp", total=4200)
    await choreographed.abandoned.publish(choreographed.Abandoned(purchase, "too late"))
    await service.settle()
    assert service.trial.sent(choreographed.kept) == [choreographed.Kept(purchase)]
    assert (await orders.load("o-1")).state == "shipped"
    assert service.kept == {"o-1": 4200}


async def test_an_order_is_read_as_a_line_a_card_and_by_its_words(service: Fulfilment) -> None:
    async with (
        app.served() as served,
        httpx.AsyncClient(
            transport=httpx.ASGITransport(served), base_url="http://shop"
        ) as customer,
    ):
        purchase = {"id": "o-1", "customer": "anna", "sku": "desk", "total": 4200}
        assert (await customer.post("/v1/orders", json=purchase)).status_code == 202
        await service.settle()
        noted = await customer.put("/v1/orders/o-1/note", json={"text": "a present"})
        after = {"after": noted.headers["position"]}
        card = (await customer.get("/v1/orders/o-1", params=after)).json()
        assert card["happened"] == ["placed", "reserved", "paid", "shipped", "annotated"]
        assert (card["state"], card["note"]) == ("shipped", "a present")
        hits = (await customer.get("/v1/orders", params={"text": "pres", **after})).json()
        assert [hit["key"] for hit in hits] == ["o-1"]
        lines = (await customer.get("/v1/customers/anna/orders")).json()
        assert lines == [{"id": "o-1", "sku": "desk", "total": 4200, "state": "shipped"}]


async def test_what_is_not_there_is_a_404_and_what_is_no_position_a_400(
    service: Fulfilment,
) -> None:
    async with (
        app.served() as served,
        httpx.AsyncClient(
            transport=httpx.ASGITransport(served), base_url="http://shop"
        ) as customer,
    ):
        assert (await customer.get("/v1/orders/o-1")).status_code == 404
        noted = await customer.put("/v1/orders/o-1/note", json={"text": "a present"})
        assert noted.status_code == 404
        assert (await customer.get("/v1/orders/o-1?after=yesterday")).status_code == 400
