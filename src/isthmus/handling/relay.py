"""The relay: moves the outbox to the engine, in order for each key.

Send, then acknowledge: what it moves leaves at least once, under one id. What the
engine does not take now, or ever, stays and is tried again; the others pass it.
"""

from collections.abc import Sequence
from contextlib import suppress
from itertools import groupby

from isthmus.contracts import Ack, Delivery, Nack, Receiver
from isthmus.errors import IsthmusError, LeaseLostError, UnavailableError
from isthmus.handling.facts import ConsumerStalled
from isthmus.handling.host import Host
from isthmus.handling.outbox import OUTBOX, RELAY, TO, destination
from isthmus.message import Message

__all__ = ["Relay"]

MOST = 500
"""Messages taken from the outbox at once."""
SOON, LATEST = 1.0, 60.0
"""Seconds until a message is tried again: the first time, and at most."""


class Relay:
    """The relay of one process; a Worker."""

    name = "relay"

    def __init__(self) -> None:
        self._receiver: Receiver | None = None
        self._draining = False

    async def run(self, host: Host) -> None:
        """Move messages until drained; while the store is out of reach, wait for it."""
        while not self._draining:
            try:
                await self._relay(host)
            except UnavailableError as error:
                _tell(host, "outbox", error)
                await host.clock.sleep(SOON)

    async def drain(self) -> None:
        self._draining = True
        if self._receiver is not None:
            await self._receiver.drain()

    async def _relay(self, host: Host) -> None:
        receiver = await host.letters.receiver(OUTBOX, RELAY, limit=MOST, lease=host.settings.lease)
        self._receiver = receiver
        try:
            while not self._draining:
                for to, run in groupby(await receiver.receive(MOST, wait=60.0), _to):
                    await _move(host, receiver, to, list(run))
        finally:
            self._receiver = None
            with suppress(UnavailableError):  # else it would stand for what ended this
                await receiver.aclose()


async def _move(host: Host, receiver: Receiver, to: str, batch: Sequence[Delivery]) -> None:
    try:
        send, limits = destination(host, to)
        for start in range(0, len(batch), limits.max_batch):
            await send([_unlabelled(each) for each in batch[start : start + limits.max_batch]])
        await _settle(receiver, [Ack(each.receipt) for each in batch])
    except IsthmusError as error:
        if len(batch) > 1 and not error.retryable:  # one of them is at fault: find it
            for each in batch:
                await _move(host, receiver, to, [each])
            return
        _tell(host, to, error)
        await _settle(receiver, [_again(each, error) for each in batch])


async def _settle(receiver: Receiver, outcomes: Sequence[Ack | Nack]) -> None:
    with suppress(LeaseLostError):  # another relay has them, and sends them under the same ids
        await receiver.settle(outcomes)


def _again(delivery: Delivery, error: IsthmusError) -> Nack:
    if error.retryable:
        return Nack(delivery.receipt, SOON, counted=False)
    return Nack(delivery.receipt, min(LATEST, SOON * 2 ** (delivery.attempt - 1)))


def _to(delivery: Delivery) -> str:
    return delivery.message.headers[TO]


def _unlabelled(delivery: Delivery) -> Message:
    return delivery.message.without_headers((TO,))


def _tell(host: Host, to: str, error: Exception) -> None:
    host.signals.emit(ConsumerStalled(address=to, error=str(error)))
