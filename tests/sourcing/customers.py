"""An aggregate with personal data: a customer."""

from collections.abc import Sequence
from typing import Annotated

import msgspec

from isthmus.sourcing import Personal

SECRET = "Anna Weiss"


class Register(msgspec.Struct, frozen=True):
    name: str
    city: str


class Move(msgspec.Struct, frozen=True):
    city: str


class Address(msgspec.Struct, frozen=True, rename="camel"):
    home_city: Annotated[str, Personal("(nowhere)")]
    country: str = "AT"


class Registered(msgspec.Struct, frozen=True, rename={"name": "fullName"}):
    name: Annotated[str, Personal("(forgotten)")]
    address: Address | None
    number: int = 7


class Moved(msgspec.Struct, frozen=True):
    city: str


class Customer(msgspec.Struct, frozen=True):
    name: str = ""
    cities: tuple[str, ...] = ()

    def decide(self, command: Register | Move) -> Sequence[Registered | Moved]:
        if isinstance(command, Register):
            return [Registered(command.name, Address(command.city))]
        return [Moved(command.city)]

    def evolve(self, event: Registered | Moved) -> "Customer":
        if isinstance(event, Registered):
            assert event.address is not None
            return Customer(event.name, (event.address.home_city,))
        return Customer(self.name, (*self.cities, event.city))


FORGOTTEN = Customer("(forgotten)", ("(nowhere)",))
