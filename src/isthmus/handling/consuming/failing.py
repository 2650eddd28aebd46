"""What becomes of a message that was not handled: it comes back, or is buried."""

from collections.abc import Awaitable, Mapping, Sequence
from contextlib import suppress
from typing import Protocol

from isthmus.contracts import Ack, Delivery, Nack, Outcome, Tx
from isthmus.deadline import deadline_in
from isthmus.errors import IsthmusError, SchemaError
from isthmus.handling.consuming.failures import REASON, failure, recorded
from isthmus.handling.consuming.subscription import Subscription
from isthmus.handling.consuming.verdicts import Postpone, Reject
from isthmus.handling.facts import MessageBuried, MessageRetried, RequestRefused
from isthmus.handling.host import Host
from isthmus.handling.remote import Refusal
from isthmus.handling.requests import REPLY_TO, Answers
from isthmus.handling.unit import repeat
from isthmus.resilience import Retry

__all__ = ["Failing", "Settles"]


class Settles(Protocol):
    """What ends a delivery: a Receiver, mostly."""

    def settle(self, outcomes: Sequence[Outcome], *, tx: Tx = None) -> Awaitable[None]: ...


class Failing:
    """The retry ladder of one subscription, and its way to the dead letters."""

    def __init__(self, host: Host, of: Subscription, retry: Retry, receiver: Settles) -> None:
        self._host, self._of, self._retry, self._receiver = host, of, retry, receiver
        self._answers = host.kept(Answers)

    async def fail(self, delivery: Delivery, error: BaseException) -> None:
        """Have the message come back after its backoff, or bury it.

        Raises:
            LeaseLostError: It is another's now; nothing was done.
            UnavailableError: It comes back when its lease has run out.
        """
        if isinstance(error, Postpone):
            return await self._postpone(delivery, error)
        if isinstance(error, Refusal) and REPLY_TO in delivery.message.headers:
            return await self._refuse(delivery, error)
        told = failure(error, attempt=delivery.attempt, at=self._host.clock.now())
        history = recorded(delivery.message, told)
        if reason := self._final(delivery, error):
            return await self.bury(delivery, reason, history)
        delay = self._retry.delay_before(delivery.attempt + 1, self._host.draw())
        if reason := self._hopeless(delivery, delay):
            return await self.bury(delivery, reason, history)
        await self._later(delivery, delay, told.error, history)

    async def bury(
        self, delivery: Delivery, reason: str, history: Mapping[str, str] | None = None
    ) -> None:
        """Make it a dead letter: a send and an ack, together where they can be."""
        if self._host.one_scope:
            await repeat(self._host.store, lambda tx: self._move(delivery, reason, history, tx))
        else:
            await self._move(delivery, reason, history, None)
        if self._host.signals.active:
            self._host.signals.emit(
                MessageBuried(address=self._of.address, message=delivery.message.id, reason=reason)
            )

    async def _move(
        self, delivery: Delivery, reason: str, history: Mapping[str, str] | None, tx: Tx
    ) -> None:
        letter = delivery.message.with_headers({**(history or {}), REASON: reason})
        await self._host.letters.send(self._of.dead, [letter], tx=tx)
        await self._receiver.settle([Ack(delivery.receipt)], tx=tx)
        if REPLY_TO in delivery.message.headers:
            await self._tell_who_asked(delivery, None, tx)

    async def _refuse(self, delivery: Delivery, refusal: Refusal) -> None:
        """The handler's answer is "no": nothing of it is kept, and the request is done."""

        async def done(tx: Tx) -> None:
            await self._receiver.settle([Ack(delivery.receipt)], tx=tx)
            await self._tell_who_asked(delivery, refusal, tx)

        await (repeat(self._host.store, done) if self._host.one_scope else done(None))
        if self._host.signals.active:
            self._host.signals.emit(
                RequestRefused(
                    address=self._of.address, message=delivery.message.id, code=refusal.code
                )
            )

    async def _tell_who_asked(self, delivery: Delivery, error: Refusal | None, tx: Tx) -> None:
        if tx is not None:
            return await self._answers.fail(delivery.message, error, tx=tx)
        with suppress(
            IsthmusError
        ):  # it is settled already; who asked waits no longer than it said
            await self._answers.fail(delivery.message, error, tx=None)

    def _final(self, delivery: Delivery, error: BaseException) -> str:
        if isinstance(error, Reject | Refusal):
            return f"rejected: {error}"
        if isinstance(error, SchemaError):
            return f"unreadable: {error}"
        attempts = delivery.attempt - delivery.lapses
        if self._retry.spent(attempts):
            return f"failed {attempts} times"
        return ""

    def _hopeless(self, delivery: Delivery, delay: float) -> str:
        """Why a request is given up though it may be tried again; "" if it is not."""
        headers = delivery.message.headers
        if REPLY_TO in headers and self._host.clock.now() + delay >= deadline_in(headers):
            return "failed, and who asked does not wait for the next attempt"
        return ""

    async def _postpone(self, delivery: Delivery, verdict: Postpone) -> None:
        await self._receiver.settle([Nack(delivery.receipt, verdict.delay, counted=False)])

    async def _later(
        self, delivery: Delivery, delay: float, error: str, history: Mapping[str, str]
    ) -> None:
        await self._receiver.settle([Nack(delivery.receipt, delay, history)])
        if self._host.signals.active:
            self._host.signals.emit(
                MessageRetried(
                    address=self._of.address,
                    message=delivery.message.id,
                    attempt=delivery.attempt,
                    delay=delay,
                    error=error,
                )
            )
