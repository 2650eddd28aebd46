"""An order: what may happen to it, and what it is then. Pure; nothing here waits or asks."""

from collections.abc import Sequence
from typing import Literal, Self

import msgspec

from orders.events import (
    Annotate,
    Annotated,
    Cancel,
    Cancelled,
    Command,
    Event,
    Paid,
    Pay,
    Place,
    Placed,
    Refund,
    Refunded,
    Release,
    Released,
    Reserve,
    Reserved,
    Ship,
    Shipped,
)

__all__ = ["Order", "OrderRefusedError", "State"]

State = Literal["new", "placed", "reserved", "paid", "shipped", "cancelled"]


class OrderRefusedError(Exception):
    """The order is past that: it is cancelled, or shipped, or there is none."""


class Order(msgspec.Struct, frozen=True):
    """One order. What is asked again, of what happened already, makes nothing happen."""

    state: State = "new"
    customer: str = ""
    sku: str = ""
    note: str = ""
    reserved: bool = False
    """Whether something is put aside for it."""
    paid: int = 0
    """Cents that were paid, and not given back."""
    receipt: str = ""
    """The payment provider's number of that."""

    def decide(self, command: Command) -> Sequence[Event]:
        match command:
            case Place(purchase):
                placed = Placed(purchase.customer, purchase.sku, purchase.total)
                return [placed] if self.state == "new" else []
            case _ if self.state == "new":
                raise OrderRefusedError("there is no such order")
            case Reserve():
                self._require_open()
                return [] if self.reserved else [Reserved()]
            case Pay(amount, receipt):  # the money came in, whatever became of the order meanwhile
                return [] if self.paid else [Paid(amount, receipt)]
            case Ship():
                self._require_open()
                return [] if self.state == "shipped" else [Shipped()]
            case Release():
                return [Released()] if self.reserved and self.state != "shipped" else []
            case Refund():
                return [Refunded(self.paid)] if self.paid and self.state != "shipped" else []
            case Cancel(why):
                if self.state == "shipped":
                    raise OrderRefusedError("it is shipped already")
                return [] if self.state == "cancelled" else [Cancelled(why)]
            case Annotate(note):
                return [Annotated(note)]

    def evolve(self, event: Event) -> Self:
        replace = msgspec.structs.replace
        match event:
            case Placed(customer, sku):
                return replace(self, state="placed", customer=customer, sku=sku)
            case Reserved():
                return replace(self, state="reserved", reserved=True)
            case Paid(amount, receipt):
                state = self.state if self.state == "cancelled" else "paid"
                return replace(self, state=state, paid=amount, receipt=receipt)
            case Shipped():
                return replace(self, state="shipped")
            case Released():
                return replace(self, reserved=False)
            case Refunded():
                return replace(self, paid=0)
            case Cancelled():
                return replace(self, state="cancelled")
            case Annotated(note):
                return replace(self, note=note)

    def _require_open(self) -> None:
        if self.state == "cancelled":
            raise OrderRefusedError("it is cancelled")
