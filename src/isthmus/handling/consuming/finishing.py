"""Finishing together what wrote nothing: inbox entries and acknowledgements in one commit."""

from collections.abc import Callable, Iterator, Sequence
from itertools import chain

from isthmus.contracts import Ack, Delivery, Receiver
from isthmus.errors import ConflictError, LeaseLostError, UnavailableError
from isthmus.handling.consuming.gathering import Gathering
from isthmus.handling.consuming.inbox import Inbox
from isthmus.handling.consuming.subscription import Subscription
from isthmus.handling.facts import ConsumerStalled, DuplicateSkipped, HandlerSucceeded, LeaseLost
from isthmus.handling.host import Host

__all__ = ["Finishing"]


class Finishing:
    """What is handled but not yet settled. Whatever cannot be settled comes back
    by its lease, and is then found in the inbox, or handled again."""

    def __init__(
        self,
        host: Host,
        of: Subscription,
        inbox: Inbox,
        receiver: Receiver,
        *,
        settled: Callable[[], None],
    ) -> None:
        self._host, self._of, self._inbox, self._receiver = host, of, inbox, receiver
        self._one = host.one_scope
        most = host.queue.capabilities.max_batch
        self._handled = Gathering(self._finish, most=most, fewer=settled)
        self._noted = Gathering(self._acknowledge, most=most, fewer=settled)

    def handled(self, deliveries: Sequence[Delivery]) -> None:
        """Note and acknowledge these in the next shared commit."""
        self._handled.add(deliveries)

    def noted(self, deliveries: Sequence[Delivery]) -> None:
        """Acknowledge these, whose note is in the store already, or not wanted."""
        self._noted.add(deliveries)

    @property
    def count(self) -> int:
        return self._handled.count + self._noted.count

    def __iter__(self) -> Iterator[Delivery]:
        return chain(self._handled, self._noted)

    async def done(self) -> None:
        """Wait until everything given so far is settled, or given up."""
        await self._handled.done()
        await self._noted.done()

    async def _finish(self, batch: list[Delivery]) -> None:
        try:
            await self._commit(batch)
            self._tell(batch)
        except ConflictError:
            await self._one_by_one(batch)
        except LeaseLostError as error:
            await self._without(batch, error)
        except UnavailableError as error:
            self._stalled(error)

    async def _commit(self, batch: Sequence[Delivery]) -> None:
        ids = [delivery.message.id for delivery in batch]
        async with self._host.store.begin() as tx:
            await self._inbox.note(ids, tx=tx)
            if self._one:
                await self._receiver.settle([Ack(d.receipt) for d in batch], tx=tx)
        if not self._one:
            await self._receiver.settle([Ack(d.receipt) for d in batch])

    async def _one_by_one(self, batch: Sequence[Delivery]) -> None:
        """Find out which were handled before: those are only acknowledged."""
        for delivery in batch:
            try:
                await self._commit([delivery])
                self._tell([delivery])
            except ConflictError:
                self.duplicate(delivery)
            except LeaseLostError:
                self.lost(delivery)
            except UnavailableError as error:
                return self._stalled(error)

    async def _without(self, batch: Sequence[Delivery], error: LeaseLostError) -> None:
        if self._one:
            await self._one_by_one(batch)
        else:
            gone = set(error.lost)
            self._tell([delivery for delivery in batch if delivery.receipt not in gone])

    async def _acknowledge(self, batch: list[Delivery]) -> None:
        try:
            await self._receiver.settle([Ack(delivery.receipt) for delivery in batch])
        except LeaseLostError:
            pass  # another has it, and will find it in the inbox
        except UnavailableError as error:
            self._stalled(error)

    def duplicate(self, delivery: Delivery) -> None:
        """Let one go that was handled before."""
        self._noted.add([delivery])
        if self._host.signals.active:
            self._host.signals.emit(
                DuplicateSkipped(address=self._of.address, message=delivery.message.id)
            )

    def lost(self, delivery: Delivery) -> None:
        """Tell that one is another's now."""
        if self._host.signals.active:
            self._host.signals.emit(
                LeaseLost(address=self._of.address, message=delivery.message.id)
            )

    def _stalled(self, error: Exception) -> None:
        self._host.signals.emit(ConsumerStalled(address=self._of.address, error=str(error)))

    def _tell(self, batch: Sequence[Delivery]) -> None:
        if self._host.signals.active:
            for delivery in batch:
                self._host.signals.emit(
                    HandlerSucceeded(
                        address=self._of.address,
                        message=delivery.message.id,
                        attempt=delivery.attempt,
                    )
                )
