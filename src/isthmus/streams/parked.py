"""Handling what is parked: an ordinary consumer that also unmarks the keys."""

from collections.abc import Sequence
from copy import copy

from isthmus.contracts import Ack, Delivery, Nack, Outcome, Receiver, StoreEngine, Tx
from isthmus.errors import LeaseLostError
from isthmus.handling.calling.handler import Bindable
from isthmus.handling.consuming.consumer import Consumer
from isthmus.handling.consuming.failures import EARLIER
from isthmus.handling.consuming.options import HandlerOptions
from isthmus.handling.host import Host
from isthmus.handling.unit import repeat
from isthmus.streams.origin import AtOrigin
from isthmus.streams.parking import TICKET, unmarked
from isthmus.streams.place import Place

__all__ = ["ParkedConsumer", "beside_the_rows"]


def beside_the_rows(host: Host) -> Host:
    """Return the same process with the store's own queues, where it has some: what is
    parked or given up lies there, and moves in the transactions that decide so."""
    if host.state.queue is None or host.state is host.engine:
        return host
    view = copy(host)
    view.engine = host.state
    return view


class ParkedConsumer(Consumer):
    """The consumer of one group's parked records; its host is `beside_the_rows`."""

    def __init__(self, of: Place, handler: Bindable, options: HandlerOptions) -> None:
        super().__init__(of, AtOrigin(handler), options, kind="parked")
        self._place = of

    async def _receiver(self, host: Host, *, limit: int) -> Receiver:
        return _Unmarking(await super()._receiver(host, limit=limit), host.store, self._place)


class _Unmarking:
    """A receiver that removes the mark of a key with the last of its parked records.

    What that takes travels in the receipt, so that nothing need be remembered. An
    attempt made where the record was read counts as one.
    """

    def __init__(self, receiver: Receiver, store: StoreEngine, of: Place) -> None:
        self._receiver, self._store, self._of = receiver, store, of

    async def receive(self, limit: int, *, wait: float) -> Sequence[Delivery]:
        return [
            Delivery(each.message, _ticketed(each), each.attempt + _earlier(each), each.lapses)
            for each in await self._receiver.receive(limit, wait=wait)
        ]

    async def extend(self, receipts: Sequence[str]) -> None:
        try:
            await self._receiver.extend([_plain(receipt) for receipt in receipts])
        except LeaseLostError as error:
            raise _as_handed_out(error, receipts) from error

    async def settle(self, outcomes: Sequence[Outcome], *, tx: Tx = None) -> None:
        plain = [_plained(outcome) for outcome in outcomes]
        tickets = _tickets([each.receipt for each in outcomes if isinstance(each, Ack)])
        if not tickets:
            return await self._settle(plain, outcomes, tx)
        if tx is None:
            return await repeat(self._store, lambda tx: self.settle(outcomes, tx=tx))
        await self._settle(plain, outcomes, tx)
        await unmarked(self._store, self._of, tickets, tx=tx)

    async def _settle(self, plain: Sequence[Outcome], outcomes: Sequence[Outcome], tx: Tx) -> None:
        try:
            await self._receiver.settle(plain, tx=tx)
        except LeaseLostError as error:
            raise _as_handed_out(error, [each.receipt for each in outcomes]) from error

    async def drain(self) -> None:
        await self._receiver.drain()

    async def aclose(self) -> None:
        await self._receiver.aclose()


def _ticketed(delivery: Delivery) -> str:
    ticket = delivery.message.headers.get(TICKET, "")
    return f"{ticket}\n{delivery.receipt}\n{delivery.message.key}"


def _earlier(delivery: Delivery) -> int:
    return int(delivery.message.headers.get(EARLIER, 0))


def _plain(receipt: str) -> str:
    return receipt.split("\n", 2)[1]


def _plained(outcome: Outcome) -> Outcome:
    plain = _plain(outcome.receipt)
    if isinstance(outcome, Ack):
        return Ack(plain)
    return Nack(plain, outcome.delay, outcome.headers, outcome.counted)


def _tickets(receipts: Sequence[str]) -> dict[str, str]:
    """Return the ticket by key, of those that have one."""
    parts = (receipt.split("\n", 2) for receipt in receipts)
    return {key: ticket for ticket, _, key in parts if ticket}


def _as_handed_out(error: LeaseLostError, receipts: Sequence[str]) -> LeaseLostError:
    lost = set(error.lost)
    return LeaseLostError([receipt for receipt in receipts if _plain(receipt) in lost])


_: type[Receiver] = _Unmarking
