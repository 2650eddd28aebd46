"""Paying by a provider whose API is shaped as Adyen's."""

from collections.abc import AsyncIterator
from typing import Any

import msgspec

from isthmus import Client, HttpUrl, Policy, Secret
from isthmus.services.adapter import translates
from payments.interface import CardDeclinedError, Charge, Receipt, UnknownChargeError

__all__ = ["Adyenlike", "AdyenlikeSettings"]

TOKENS = {"visa": "visa", "declined": "refused"}


class AdyenlikeSettings(msgspec.Struct, frozen=True):
    """SHOP_ADYENLIKE_KEY, and so on."""

    key: Secret
    merchant: str = "Shop"
    url: HttpUrl = HttpUrl("http://127.0.0.1:8601")


@translates({"167": UnknownChargeError}, raises=[CardDeclinedError], code="errorCode")
class Adyenlike:
    def __init__(self, settings: AdyenlikeSettings) -> None:
        headers = {"x-API-key": settings.key.reveal()}
        url = f"{settings.url}/v71"
        self.http = Client("adyenlike", url, headers=headers, policy=Policy(), carries=False)
        self.merchant = settings.merchant

    async def charge(self, charge: Charge, *, idempotency_key: str) -> Receipt:
        body = {
            "merchantAccount": self.merchant,
            "amount": {"value": charge.amount, "currency": "EUR"},
            "reference": charge.order,
            "paymentMethod": {"type": "scheme", "token": TOKENS[charge.card]},
        }
        made = await self.http.post(
            "/payments", body, result=dict[str, Any], idempotency_key=idempotency_key
        )
        if made["resultCode"] == "Refused":
            raise CardDeclinedError(f"adyenlike refused: {made['refusalReasonCode']}")
        return _receipt(made)

    async def refund(self, receipt: Receipt, *, idempotency_key: str) -> None:
        body = {
            "merchantAccount": self.merchant,
            "amount": {"value": receipt.amount, "currency": "EUR"},
        }
        await self.http.post(
            "/payments/{psp}/refunds",
            body,
            path_params={"psp": receipt.number},
            idempotency_key=idempotency_key,
        )

    async def receipts(self) -> AsyncIterator[Receipt]:
        path: str | None = "/transactions"
        while path is not None:
            page = await self.http.get(path, result=dict[str, Any])
            for each in page["data"]:
                yield _receipt(each)
            following = page["_links"].get("next")
            path = following and following["href"].removeprefix("/v71")


def _receipt(payment: dict[str, Any]) -> Receipt:
    return Receipt(
        payment["merchantReference"], payment["amount"]["value"], payment["pspReference"]
    )
