"""Paying by nobody: for tests, and for a laptop on a train."""

from collections.abc import AsyncIterator

from payments.interface import CardDeclinedError, Charge, Receipt, UnknownChargeError

__all__ = ["FakePayments"]


class FakePayments:
    """Keeps what was paid and given back, by key."""

    def __init__(self) -> None:
        self.paid: dict[str, Receipt] = {}
        self.refunded: dict[str, Receipt] = {}

    async def charge(self, charge: Charge, *, idempotency_key: str) -> Receipt:
        if charge.card == "declined":
            raise CardDeclinedError("the fake declines this card")
        receipt = Receipt(charge.order, charge.amount, f"fake-{len(self.paid) + 1}")
        return self.paid.setdefault(idempotency_key, receipt)

    async def refund(self, receipt: Receipt, *, idempotency_key: str) -> None:
        if receipt not in self.paid.values():
            raise UnknownChargeError(receipt.number)
        self.refunded[idempotency_key] = receipt

    async def receipts(self) -> AsyncIterator[Receipt]:
        for receipt in self.paid.values():
            yield receipt
