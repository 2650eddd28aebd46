"""Where a record that failed is dealt with: parked, tried again where it is, or given up.

The retry ladder knows deliveries and what settles them. To it, a record is a
delivery, and this is its receiver: an acknowledgement says that the record is
done, a negative one that it comes back.
"""

from collections.abc import Mapping, Sequence

from isthmus.contracts import Ack, Delivery, Nack, Outcome, Record, StoreEngine, Transaction, Tx
from isthmus.errors import IsthmusError
from isthmus.handling.consuming.failing import Failing
from isthmus.handling.consuming.failures import EARLIER, failures
from isthmus.handling.host import Host
from isthmus.handling.unit import repeat
from isthmus.streams.facts import RecordParked
from isthmus.streams.options import GroupOptions
from isthmus.streams.origin import with_origin
from isthmus.streams.parking import Parking
from isthmus.streams.place import Place
from isthmus.streams.positions import Positions
from isthmus.streams.progress import Progress

__all__ = ["Desk", "GroupStoppedError"]


class GroupStoppedError(IsthmusError):
    """A record failed for the last time, and the group is to stop there."""


class Desk:
    """The failed records of one member; its host is `beside_the_rows`."""

    def __init__(
        self,
        host: Host,
        of: Place,
        options: GroupOptions,
        *,
        parking: Parking,
        positions: Positions,
    ) -> None:
        self._store: StoreEngine = host.store
        self._signals, self._of, self._parks = host.signals, of, options.on_error == "park"
        self._parking, self._positions = parking, positions
        self._at_hand: dict[str, tuple[Record, Progress]] = {}
        self._again: dict[str, Nack] = {}
        ladder = _Stopping if options.on_error == "stop" else Failing
        self._failing = ladder(host, of, options.retry, self)

    async def fail(
        self, record: Record, progress: Progress, error: Exception, *, attempt: int
    ) -> Nack | None:
        """Deal with a record whose handler failed; return how it is to be tried again
        where it is, or None if it is done here.

        Raises:
            LeaseLostError, ConflictError: Another did, or will, deal with it.
            UnavailableError: It is not known what became of it.
            GroupStoppedError: It is the last attempt, and nothing was done.
        """
        delivery = self._delivery(record, progress, attempt)
        try:
            await self._failing.fail(delivery, error)
            return self._again.pop(delivery.receipt, None)
        finally:
            del self._at_hand[delivery.receipt]

    async def bury(self, record: Record, progress: Progress, reason: str) -> None:
        """Give a record up without an attempt. Raises as `fail` does."""
        delivery = self._delivery(record, progress, 1)
        try:
            await self._failing.bury(delivery, reason)
        finally:
            del self._at_hand[delivery.receipt]

    async def settle(self, outcomes: Sequence[Outcome], *, tx: Tx = None) -> None:
        """Note each as done, or park it, or keep it for another attempt."""
        for outcome in outcomes:
            record, progress = self._at_hand[outcome.receipt]
            if isinstance(outcome, Ack):
                await self._done(record, progress, tx)
            elif self._parks:
                await self._park(record, progress, outcome)
            else:
                self._again[outcome.receipt] = outcome

    def _delivery(self, record: Record, progress: Progress, attempt: int) -> Delivery:
        receipt = f"{record.partition}:{record.offset}"
        self._at_hand[receipt] = (record, progress)
        return Delivery(with_origin(record), receipt, attempt)

    async def _done(self, record: Record, progress: Progress, tx: Tx) -> None:
        async def note(tx: Transaction) -> None:
            await self._positions.note(progress, (record.offset,), tx=tx)

        await (repeat(self._store, note) if tx is None else note(tx))

    async def _park(self, record: Record, progress: Progress, outcome: Nack) -> None:
        headers = {**outcome.headers, EARLIER: "1"} if outcome.counted else outcome.headers

        async def park(tx: Transaction) -> None:
            await self._parking.park(record, headers, delay=outcome.delay, tx=tx)
            await self._positions.note(progress, (record.offset,), tx=tx)

        await repeat(self._store, park)
        if self._signals.active:
            self._tell(record, outcome.headers)

    def _tell(self, record: Record, headers: Mapping[str, str]) -> None:
        message = record.message.with_headers(headers)
        history = failures(message)
        self._signals.emit(
            RecordParked(
                address=self._of.address,
                message=message.id,
                key=message.key,
                error=history[-1].error if history else "",
            )
        )


class _Stopping(Failing):
    """A ladder whose end is no dead letter, but a stop."""

    async def bury(
        self, delivery: Delivery, reason: str, history: Mapping[str, str] | None = None
    ) -> None:
        told = [each.error for each in failures(delivery.message.with_headers(history or {}))]
        raise GroupStoppedError(f"record {delivery.receipt} {reason}: {'; '.join(told[-1:])}")
