"""What one call of `send` stores, and many calls together."""

from collections.abc import Collection, Iterator, Sequence

import msgspec

from isthmus.engines.postgres.database.channels import channel
from isthmus.engines.postgres.database.steps import LARGE, Call, Function
from isthmus.engines.postgres.packing import pack, weight
from isthmus.message import Message

__all__ = ["Send", "channel_of"]

_SEND = Function.of(
    "send", "text[]", "float8[]", "text[]", "text[]", "smallint[]", "bytea[]", "float8"
)


def channel_of(topic: str) -> int:
    """Return what receivers of a topic's subscriptions listen to."""
    return channel("queue", topic)


class Send(msgspec.Struct, frozen=True, gc=False):
    topic: str
    delay: float
    messages: Sequence[Message]


class Sends(msgspec.Struct, frozen=True, gc=False):
    """Sends, one after the other."""

    sends: Sequence[Send]

    @property
    def channels(self) -> Collection[int]:
        return {channel_of(topic) for topic in {send.topic for send in self.sends}}

    @property
    def writes(self) -> Collection[tuple[str, str]]:
        return ()

    def call(self, now: float) -> Call:
        rows = list(self._rows())
        messages = [message for _, message in rows]
        return _SEND.call(
            [send.topic for send, _ in rows],
            [max(0.0, send.delay) for send, _ in rows],
            [message.id for message in messages],
            [message.key for message in messages],
            [message.priority for message in messages],
            [pack(message) for message in messages],
            now,
        )

    def _rows(self) -> Iterator[tuple[Send, Message]]:
        return ((send, message) for send in self.sends for message in send.messages)

    @classmethod
    def merged(cls, steps: "Sequence[Sends]") -> "Sequence[Sends]":
        """Merge them, but not so that a call would be too large for the server."""
        groups, total = [list[Send]()], 0
        for send in (send for step in steps for send in step.sends):
            size = weight(send.messages)
            if groups[-1] and total + size > LARGE:
                groups.append([])
                total = 0
            groups[-1].append(send)
            total += size
        return [cls(group) for group in groups]
