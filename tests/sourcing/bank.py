"""The aggregate that the tests of the room share: a bank account."""

from collections.abc import Sequence
from typing import Annotated

import msgspec


class Deposit(msgspec.Struct, frozen=True):
    amount: Annotated[int, msgspec.Meta(gt=0)]


class Withdraw(msgspec.Struct, frozen=True):
    amount: int


class Touch(msgspec.Struct, frozen=True):
    """A command that comes to nothing."""


class Deposited(msgspec.Struct, frozen=True):
    amount: int


class Withdrawn(msgspec.Struct, frozen=True):
    amount: int


class OverdrawnError(Exception):
    """There is less in it than was asked for."""


class Account(msgspec.Struct, frozen=True):
    balance: int = 0

    def decide(self, command: Deposit | Withdraw | Touch) -> Sequence[Deposited | Withdrawn]:
        match command:
            case Deposit(amount):
                return [Deposited(amount)]
            case Withdraw(amount) if amount > self.balance:
                raise OverdrawnError(f"{amount} of {self.balance}")
            case Withdraw(amount):
                return [Withdrawn(amount)]
            case Touch():
                return ()

    def evolve(self, event: Deposited | Withdrawn) -> "Account":
        if isinstance(event, Deposited):
            return Account(self.balance + event.amount)
        return Account(self.balance - event.amount)
