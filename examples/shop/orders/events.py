"""What can be asked of an order, and what can have happened to it."""

import msgspec

from orders.purchase import Purchase

__all__ = [
    "Annotate",
    "Annotated",
    "Cancel",
    "Cancelled",
    "Command",
    "Event",
    "Paid",
    "Pay",
    "Place",
    "Placed",
    "Refund",
    "Refunded",
    "Release",
    "Released",
    "Reserve",
    "Reserved",
    "Ship",
    "Shipped",
]


class Place(msgspec.Struct, frozen=True):
    purchase: Purchase


class Reserve(msgspec.Struct, frozen=True): ...


class Pay(msgspec.Struct, frozen=True):
    amount: int
    receipt: str


class Ship(msgspec.Struct, frozen=True): ...


class Release(msgspec.Struct, frozen=True): ...


class Refund(msgspec.Struct, frozen=True): ...


class Cancel(msgspec.Struct, frozen=True):
    why: str


class Annotate(msgspec.Struct, frozen=True):
    note: str


class Placed(msgspec.Struct, frozen=True):
    customer: str
    sku: str
    total: int


class Reserved(msgspec.Struct, frozen=True): ...


class Paid(msgspec.Struct, frozen=True):
    amount: int
    receipt: str


class Shipped(msgspec.Struct, frozen=True): ...


class Released(msgspec.Struct, frozen=True): ...


class Refunded(msgspec.Struct, frozen=True):
    amount: int


class Cancelled(msgspec.Struct, frozen=True):
    why: str


class Annotated(msgspec.Struct, frozen=True):
    note: str


Command = Place | Reserve | Pay | Ship | Release | Refund | Cancel | Annotate
Event = Placed | Reserved | Paid | Shipped | Released | Refunded | Cancelled | Annotated
