"""Requests: messages that somebody waits for, and what travels back."""

import math
from typing import Any, cast

import msgspec

from isthmus.contracts import Tx
from isthmus.deadline import deadline_in
from isthmus.handling.envelope import Envelope
from isthmus.handling.host import Host
from isthmus.handling.outbox import Sender
from isthmus.handling.remote import PROBLEM, Refusal, problem_bytes
from isthmus.handling.unit import Answer, Unit
from isthmus.message import Message
from isthmus.schema import schema_of
from isthmus.schema.wire import Wire

__all__ = ["CORRELATION", "KEEP", "MARKS", "REPLY_TO", "Answers", "keeps_answer"]

REPLY_TO, CORRELATION = "isthmus-reply-to", "isthmus-correlation"
"""Headers of a request: the queue that its answer is sent to; and what names the asking, which the
answer carries too."""
KEEP = "isthmus-keep-answer"
"""Header of a request that may be asked again under its id: its answer is kept with the id."""
MARKS = (REPLY_TO, CORRELATION, KEEP)

LARGEST = 65_536
"""Bytes of an answer that is kept; a larger one is sent, and not kept."""


def keeps_answer(message: Message) -> bool:
    """Whether its answer is to be given again when it is asked again."""
    return KEEP in message.headers


class Answers:
    """The answering side of one process."""

    def __init__(self, host: Host) -> None:
        self._host = host

    async def give(self, unit: Unit) -> None:
        """Have what the handler returned leave with its transaction.

        Raises:
            SchemaError: It is not what the handler says it returns.
        """
        request = unit.batch[0].message
        reply = self._message(request, unit.answer)
        if keeps_answer(request) and len(reply.body) <= LARGEST:
            unit.kept = msgspec.msgpack.encode(reply)
        await Sender(self._host, request.headers[REPLY_TO]).send((reply,))

    async def again(self, request: Message, kept: bytes) -> None:
        """Answer a request that was handled before, as it was answered then."""
        reply = msgspec.msgpack.decode(kept, type=Message)
        await self._send(request, reply, None)

    async def fail(self, request: Message, error: Refusal | None, *, tx: Tx) -> None:
        """Tell who asked that there will be no answer."""
        body = problem_bytes(error)
        await self._send(request, Message(body=body, datacontenttype=PROBLEM), tx)

    async def _send(self, request: Message, reply: Message, tx: Tx) -> None:
        addressed = msgspec.structs.replace(
            reply,
            source=self._host.source,
            expires_at=_end(request),
            headers={CORRELATION: request.headers.get(CORRELATION, request.id)},
        )
        await self._host.queue.send(request.headers[REPLY_TO], [addressed], tx=tx)

    def _message(self, request: Message, answer: Answer) -> Message:
        host, (value, schema) = self._host, answer
        envelope = Envelope[Any](
            Wire(schema_of(cast("Any", type(value))) if schema is None else schema, place=""),
            of=f"the answer to {request.type or 'a request'}",
            source=host.source,
            clock=host.clock,
        )
        correlation = request.headers.get(CORRELATION, request.id)
        reply = envelope.message(value, headers={CORRELATION: correlation})
        return msgspec.structs.replace(reply, expires_at=_end(request))


def _end(request: Message) -> float:
    """Until when an answer is worth anything; 0 if nobody said."""
    at = deadline_in(request.headers)
    return 0.0 if math.isinf(at) else at
