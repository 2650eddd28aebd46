"""Charging cards, by whoever does that outside, and giving back."""

from orders.events import Pay, Refund
from orders.log import orders
from orders.purchase import Purchase
from payments import (
    Adyenlike,
    CardDeclinedError,
    Charge,
    FakePayments,
    Payments,
    Receipt,
    Stripelike,
)

from isthmus import Module, Retry
from isthmus.resilience import Bulkhead, CircuitBreaker, Policy, Timeout

__all__ = ["CardDeclinedError", "Receipt", "book", "charge", "module", "refund", "stoic"]

module = Module("billing")

pay = Policy(
    Retry(3, delay=0.1),
    CircuitBreaker(consecutive=20, open_for=1),
    Bulkhead(16),
    Timeout(1),
    name="payments",
)
stoic = Retry(attempts=100, delay=0.3, cap=1)
"""Outlives a bad day of the payment service."""

payments = module.adapter(
    Payments,
    {"stripelike": Stripelike, "adyenlike": Adyenlike, "fake": FakePayments},
    use="stripelike",
    policy=pay,
)


async def charge(purchase: Purchase, key: str) -> Receipt:
    """Charge the card; under the same key, once."""
    charge = Charge(purchase.id, purchase.total, purchase.card)
    return await payments.charge(charge, idempotency_key=key)


async def book(purchase: Purchase, receipt: Receipt) -> None:
    """Note in the order that it is paid."""
    await orders.handle(purchase.id, Pay(receipt.amount, receipt.number))


async def refund(purchase: Purchase, receipt: Receipt, key: str) -> None:
    """Give back what was paid, and note it in the order."""
    await payments.refund(receipt, idempotency_key=key)
    await orders.handle(purchase.id, Refund())
