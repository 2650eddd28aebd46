"""Asking by a message, and waiting for its answer.

request ──► queue ──► handler's transaction: rows, messages, ack, and the answer
   ▲                                                            │
   └──────── reply queue of the process that asks ◄─────────────┘
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from isthmus.clock import Span, seconds
from isthmus.deadline import HEADER as DEADLINE
from isthmus.deadline import deadline, remaining
from isthmus.errors import ConfigError, SchemaError, TimedOutError
from isthmus.handling.host import Host
from isthmus.handling.remote import PROBLEM, problem_error
from isthmus.handling.requests import CORRELATION, KEEP, REPLY_TO
from isthmus.message import Message
from isthmus.messaging.replies import Replies, Waiting
from isthmus.resilience.errors import DeadlinePassedError
from isthmus.schema import Schema
from isthmus.schema.wire import Wire

__all__ = ["Requests"]

R = TypeVar("R")
SendNow = Callable[[Sequence[Message]], Awaitable[None]]


class Requests:
    """The asking side of one queue."""

    def __init__(self, host: Host, queue: str, send: SendNow) -> None:
        """`send`: puts messages into the queue at once, whatever transaction runs."""
        self._clock, self._send, self._what = host.clock, send, f"request to {queue!r}"
        self._replies = host.kept(Replies)

    async def ask(
        self,
        message: Message,
        *,
        result: Schema[R],
        timeout: Span,  # noqa: ASYNC109 - it travels with the request
        keep: bool,
    ) -> R:
        """Send `message` and wait for its answer. `keep` has the other side give the same
        answer when it is asked again under its id."""
        with deadline(_above_zero(timeout), clock=self._clock):
            await self._replies.open()
            reply = await self._asked(message, remaining(0.0), keep=keep)
        return self._read(reply, result)

    async def _asked(self, message: Message, left: float, *, keep: bool) -> Message:
        if left <= 0:
            raise DeadlinePassedError(f"{self._what}: the time for it was over; it was not sent")
        correlation, waiting = self._replies.expect()
        try:
            await self._send((self._marked(message, correlation, left, keep=keep),))
            return await self._answer(waiting, left)
        finally:
            self._replies.forget(correlation)

    def _marked(self, message: Message, correlation: str, left: float, *, keep: bool) -> Message:
        marks = {
            REPLY_TO: self._replies.address,
            CORRELATION: correlation,
            DEADLINE: f"{self._clock.now() + left:.3f}",
        }
        return message.with_headers({**marks, KEEP: "1"} if keep else marks)

    async def _answer(self, waiting: Waiting, left: float) -> Message:
        if not await self._clock.wait(waiting.came, remaining(left)):
            raise TimedOutError(
                f"{self._what}: no answer within {round(left, 2):g} s; it ran, perhaps"
            )
        if waiting.reply is None:
            raise TimedOutError(f"{self._what}: the App was closed meanwhile; it ran, perhaps")
        return waiting.reply

    def _read(self, reply: Message, result: Schema[R]) -> R:
        if reply.datacontenttype == PROBLEM:
            raise problem_error(reply.body, request=self._what)
        try:
            return Wire(result, place="").read(reply)
        except SchemaError as error:
            told = f"{self._what}: the answer is {error}"
            raise SchemaError(told, problems=error.problems) from error


def _above_zero(timeout: Span) -> float:
    if isinstance(timeout, str) or seconds(timeout) <= 0:  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ConfigError(f"timeout={timeout!r}: expected seconds above 0, or a timedelta")
    return seconds(timeout)
