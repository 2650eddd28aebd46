"""Paying: what the shop asks of whoever does it, and who can."""

from payments.adyenlike import Adyenlike
from payments.fake import FakePayments
from payments.interface import CardDeclinedError, Charge, Payments, Receipt, UnknownChargeError
from payments.stripelike import Stripelike

__all__ = [
    "Adyenlike",
    "CardDeclinedError",
    "Charge",
    "FakePayments",
    "Payments",
    "Receipt",
    "Stripelike",
    "UnknownChargeError",
]
