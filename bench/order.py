"""What all contenders send: an order of some 200 bytes."""

from collections.abc import Iterator

import msgspec

__all__ = ["Order", "decode", "encode", "orders"]


class Order(msgspec.Struct):
    id: str
    customer: str
    sku: str
    quantity: int
    total: int
    note: str


encode = msgspec.json.Encoder().encode
decode = msgspec.json.Decoder(Order).decode

NOTE = "leave it with the neighbour on the second floor, ring twice, mind the dog behind the door"


def orders(count: int, *, prefix: str = "order") -> Iterator[Order]:
    for number in range(count):
        yield Order(
            id=f"{prefix}-{number:08}",
            customer=f"customer-{number % 1000}",
            sku=f"sku-{number % 97}",
            quantity=number % 5 + 1,
            total=number % 10_000,
            note=NOTE,
        )
