"""One attempt at one delivery, or at a batch: handled and committed, or failed."""

from collections.abc import Sequence
from contextlib import suppress

from isthmus.contracts import Ack, Delivery, Nack, Receiver, Transaction
from isthmus.deadline import HEADER as DEADLINE
from isthmus.deadline import deadline, deadline_in
from isthmus.errors import ConflictError, IsthmusError, LeaseLostError, SchemaError
from isthmus.handling.calling.handler import Failed, Invoke
from isthmus.handling.consuming.failing import Failing
from isthmus.handling.consuming.finishing import Finishing
from isthmus.handling.consuming.inbox import Inbox
from isthmus.handling.consuming.intermission import REST, Intermission
from isthmus.handling.consuming.subscription import Subscription
from isthmus.handling.consuming.verdicts import Reject
from isthmus.handling.facts import ConsumerStalled, HandlerConflicted, HandlerSucceeded
from isthmus.handling.host import Host
from isthmus.handling.requests import REPLY_TO, Answers
from isthmus.handling.unit import PATIENCE, Unit, current, uncommitted
from isthmus.message import Message

__all__ = ["Attempts"]


class Attempts:
    """How deliveries of one subscription are handled."""

    def __init__(
        self,
        host: Host,
        of: Subscription,
        invoke: Invoke,
        *,
        inbox: Inbox,
        receiver: Receiver,
        finishing: Finishing,
        failing: Failing,
        intermission: Intermission,
    ) -> None:
        self._host, self._of, self._invoke = host, of, invoke
        self._store, self._signals = host.store, host.signals
        self._inbox, self._receiver = inbox, receiver
        self._finishing, self._failing = finishing, failing
        self._intermission = intermission
        self._one, self._answers = host.one_scope, host.kept(Answers)

    async def attempt(self, batch: Sequence[Delivery]) -> None:
        """Handle `batch`; whatever comes of it, it is settled or left to its lease."""
        messages = [delivery.message for delivery in batch]
        invoke = self._in_time if DEADLINE in messages[0].headers else self._invoke
        for attempt in range(1, PATIENCE + 1):
            unit = Unit(self._store, attempt, batch, seal=self._seal)
            current.set(unit)
            try:
                failed = await invoke(messages)
                if failed is not None or unit.sealed:
                    return await self._complete(batch, unit, failed)
                if unit.tx is not None:
                    return await self._commit(batch, unit)
                return self._finishing.handled(batch)
            except ConflictError as error:
                await unit.undo()
                if self._inbox.refused(error):
                    return await self._apart(batch)
                if attempt == PATIENCE:
                    return await self.fail(batch, error)
                self._tell_conflict(batch)
            except LeaseLostError as error:
                await unit.undo()
                return await self._lost(batch, error)
            except Exception as error:  # noqa: BLE001 - whatever a handler raises
                await unit.undo()
                return await self.fail(batch, error)
            except BaseException:
                await unit.undo()
                raise

    async def _in_time(self, messages: Sequence[Message]) -> Failed | None:
        """Invoke the handler with the deadline in force; of a batch, the last one. A request,
        which always has one, is answered."""
        at = max(deadline_in(message.headers) for message in messages)
        with deadline(at=at, clock=self._host.clock):
            failed = await self._invoke(messages)
        if REPLY_TO in messages[0].headers and (unit := current.get()) is not None:
            await self._answer(unit)
        return failed

    async def _answer(self, unit: Unit) -> None:
        try:
            await self._answers.give(unit)
        except SchemaError as error:
            raise Reject(str(error)) from error

    async def fail(self, batch: Sequence[Delivery], error: Exception) -> None:
        """Send a failed delivery down its ladder; take a failed batch apart first. What a
        policy refused goes back as it was."""
        if (delay := self._intermission.refused(error)) is not None:
            return await self._refused(batch, delay)
        if len(batch) > 1:
            return await self._apart(batch)
        await self._fail_one(batch[0], error)

    async def give_back(self, batch: Sequence[Delivery], *, delay: float = 0.0) -> None:
        """Return what was not tried, or whose trying does not count."""
        with suppress(IsthmusError):  # else it comes back by its lease
            await self._receiver.settle([Nack(d.receipt, delay, counted=False) for d in batch])

    async def _complete(self, batch: Sequence[Delivery], unit: Unit, failed: Failed | None) -> None:
        done = [d for i, d in enumerate(batch) if i not in failed] if failed else batch
        if unit.sealed:
            await self._complete_sealed(done, unit)
            await self._inbox.forget([batch[index].message.id for index in failed or ()])
        elif unit.tx is None:
            self._finishing.handled(done)
        else:
            await self._commit(done, unit)
        if failed:
            for index, error in failed.items():
                await self.fail([batch[index]], error)

    async def _commit(self, done: Sequence[Delivery], unit: Unit) -> None:
        tx = unit.begin()
        ids = [delivery.message.id for delivery in done]
        await self._inbox.note(ids, tx=tx, kept=unit.kept)
        if self._one:
            await self._receiver.settle([Ack(delivery.receipt) for delivery in done], tx=tx)
        await tx.commit()
        if not self._one:
            self._finishing.noted(done)
        if self._signals.active:
            self._tell_success(done, unit)

    async def _seal(self, unit: Unit, tx: Transaction) -> None:
        """Note in the user's own transaction that the batch is handled."""
        ids = [delivery.message.id for delivery in unit.batch]
        if not unit.sealed or not await self._inbox.seen(ids):
            await self._inbox.note(ids, tx=tx)

    async def _complete_sealed(self, done: Sequence[Delivery], unit: Unit) -> None:
        """The user's transaction has the note, or failed: commit what else there is,
        acknowledge."""
        ids = [delivery.message.id for delivery in unit.batch]
        if len(await self._inbox.seen(ids)) < len(set(ids)):
            raise uncommitted()
        if unit.tx is not None:
            await unit.tx.commit()
        self._finishing.noted(done)
        if self._signals.active:
            self._tell_success(done, unit)

    async def _apart(self, batch: Sequence[Delivery]) -> None:
        """Handle each alone: one of them failed, or was handled before."""
        if len(batch) == 1:
            return self._finishing.duplicate(batch[0])
        try:
            for delivery in batch:
                if await self._inbox.seen([delivery.message.id]):
                    self._finishing.duplicate(delivery)
                else:
                    await self.attempt([delivery])
        except IsthmusError as error:  # of the store: what is left comes back by its lease
            self._signals.emit(ConsumerStalled(address=self._of.address, error=str(error)))

    async def _refused(self, batch: Sequence[Delivery], delay: float) -> None:
        if not self._intermission.on:
            await self._host.clock.sleep(REST)
        await self.give_back(batch, delay=delay)

    async def _fail_one(self, delivery: Delivery, error: Exception) -> None:
        try:
            await self._failing.fail(delivery, error)
        except LeaseLostError:
            self._finishing.lost(delivery)
        except IsthmusError:
            pass  # the engine is out of reach: it comes back by its lease

    async def _lost(self, batch: Sequence[Delivery], error: LeaseLostError) -> None:
        gone = [delivery for delivery in batch if delivery.receipt in error.lost]
        for delivery in gone:
            self._finishing.lost(delivery)
        if kept := [delivery for delivery in batch if delivery not in gone]:
            await self.give_back(kept)

    def _tell_conflict(self, batch: Sequence[Delivery]) -> None:
        if self._signals.active:
            for delivery in batch:
                self._signals.emit(
                    HandlerConflicted(address=self._of.address, message=delivery.message.id)
                )

    def _tell_success(self, batch: Sequence[Delivery], unit: Unit) -> None:
        for fact in unit.facts:
            self._signals.emit(fact)
        for delivery in batch:
            self._signals.emit(
                HandlerSucceeded(
                    address=self._of.address,
                    message=delivery.message.id,
                    attempt=delivery.attempt,
                )
            )
