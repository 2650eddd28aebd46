"""Paying by a provider whose API is shaped as Stripe's."""

from collections.abc import AsyncIterator
from typing import Any

import msgspec

from isthmus import Client, HttpUrl, Policy, Secret
from isthmus.services.adapter import translates
from isthmus.services.client import Bearer, Form
from payments.interface import CardDeclinedError, Charge, Receipt, UnknownChargeError

__all__ = ["Stripelike", "StripelikeSettings"]

TOKENS = {"visa": "tok_visa", "declined": "tok_chargeDeclined"}


class StripelikeSettings(msgspec.Struct, frozen=True):
    """SHOP_STRIPELIKE_KEY, and so on."""

    key: Secret
    url: HttpUrl = HttpUrl("http://127.0.0.1:8601")


@translates(
    {"card_declined": CardDeclinedError, "resource_missing": UnknownChargeError}, code="error.code"
)
class Stripelike:
    def __init__(self, settings: StripelikeSettings) -> None:
        auth = Bearer(settings.key.reveal())
        self.http = Client("stripelike", settings.url, auth=auth, policy=Policy(), carries=False)

    async def charge(self, charge: Charge, *, idempotency_key: str) -> Receipt:
        card = TOKENS[charge.card]
        form = Form(
            {"metadata[order]": charge.order}, amount=charge.amount, currency="eur", source=card
        )
        made = await self.http.post(
            "/v1/charges", form, result=dict[str, Any], idempotency_key=idempotency_key
        )
        return _receipt(made)

    async def refund(self, receipt: Receipt, *, idempotency_key: str) -> None:
        form = Form(charge=receipt.number)
        await self.http.post("/v1/refunds", form, idempotency_key=idempotency_key)

    async def receipts(self) -> AsyncIterator[Receipt]:
        params: dict[str, Any] = {"limit": 100}
        more = True
        while more:
            page = await self.http.get("/v1/charges", params=params, result=dict[str, Any])
            for each in page["data"]:
                yield _receipt(each)
                params["starting_after"] = each["id"]
            more = page["has_more"]


def _receipt(charge: dict[str, Any]) -> Receipt:
    return Receipt(charge["metadata"]["order"], charge["amount"], charge["id"])
