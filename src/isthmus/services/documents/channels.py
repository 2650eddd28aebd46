"""Queues, topics and streams as AsyncAPI's channels, and their handlers as operations."""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from isthmus.handling.consuming.subscription import Subscription
from isthmus.handling.model import Declared, Model
from isthmus.messaging import DeclaredHandler, DeclaredQueue, DeclaredTopic
from isthmus.resilience import Retry
from isthmus.services.documents.messages import Carried, Messages
from isthmus.streams import DeclaredGroup, DeclaredStream

__all__ = ["Channel", "channels_of"]

_Json = dict[str, Any]
_KINDS = (DeclaredQueue, DeclaredTopic, DeclaredStream)
_HOW: Mapping[str, str] = {
    "queue": "A work queue: each message is handled by one of many.",
    "topic": "A topic: every subscription gets each message.",
    "stream": "A stream: a log that groups read at their own pace, in order by key.",
}
_WORDS = {"queue": "Send", "topic": "Publish", "stream": "Append"}
_PLAIN = ("ordered", "retention", "max_length", "partitions", "max_bytes", "compaction")


class Channel(msgspec.Struct, frozen=True):
    """One channel, and what is done with it."""

    id: str
    record: Declared
    carried: Carried
    takers: tuple[DeclaredHandler | DeclaredGroup, ...]

    @property
    def replies(self) -> Carried | None:
        """What requests that come by it are answered with, if a handler answers."""
        return next((found for each in self.takers if (found := _answer(each))), None)

    def documents(self, messages: Messages) -> Iterator[tuple[str, _Json]]:
        """Yield the Channel Objects by id: its own, and that of the answers."""
        options = {name: getattr(self.record, name, None) for name in _PLAIN}
        yield (
            self.id,
            {
                "address": self.record.name,
                "title": f"{self.record.kind} {self.record.name}",
                "description": _HOW[self.record.kind],
                "messages": _named(messages, self.carried),
                "x-isthmus-kind": self.record.kind,
                **{_extension(name): each for name, each in options.items() if each},
            },
        )
        if self.replies is not None:
            yield (
                f"{self.id}.reply",
                {
                    "address": None,
                    "title": f"answers to {self.record.kind} {self.record.name}",
                    "messages": _named(messages, self.replies),
                },
            )

    def operations(self, messages: Messages) -> Iterator[tuple[str, _Json]]:
        """Yield the Operation Objects by id."""
        word = _WORDS[self.record.kind]
        yield f"send.{self.id}", self._operation("send", f"{word} to {self.record.name}.", messages)
        for taker in self.takers:
            operation = self._operation("receive", f"Handled by {taker.function}.", messages)
            wanted = self._wanted(taker, messages)
            operation["messages"] = [_message(self.id, name) for name in wanted]
            operation |= _extensions(taker)
            if (answer := _answer(taker)) is not None:
                operation["reply"] = self._reply(answer, messages)
            yield f"receive.{taker.name.replace('/', '.')}", operation

    def _operation(self, action: str, summary: str, messages: Messages) -> _Json:
        return {
            "action": action,
            "channel": {"$ref": f"#/channels/{_pointer(self.id)}"},
            "summary": summary,
            "messages": [_message(self.id, name) for name in messages.names(self.carried)],
        }

    def _wanted(self, taker: DeclaredHandler | DeclaredGroup, messages: Messages) -> list[str]:
        """Return the messages that a handler takes; those of other types pass it by."""
        names = messages.names(self.carried)
        types = getattr(taker.options, "where", {}).get("type")
        if types is None:
            return list(names)
        members = zip(names, self.carried.members(), strict=True)
        return [name for name, (schema, _) in members if schema.name in types] or list(names)

    def _reply(self, answer: Carried, messages: Messages) -> _Json:
        place = f"{self.id}.reply"
        return {
            "address": {"location": "$message.header#/isthmus-reply-to"},
            "channel": {"$ref": f"#/channels/{_pointer(place)}"},
            "messages": [_message(place, name) for name in messages.names(answer)],
        }


def channels_of(model: Model) -> Iterator[Channel]:
    """Yield the channels of what is declared, in its order."""
    taken = set[str]()
    handlers = [*model.of(DeclaredHandler), *model.of(DeclaredGroup)]
    for record in model:
        if not isinstance(record, _KINDS):
            continue
        key = record.name if record.name not in taken else f"{record.kind}.{record.name}"
        taken.add(key)
        takers = tuple(each for each in handlers if _takes(each, record))
        yield Channel(key, record, Carried(record.payload, record.datacontenttype), takers)


def _takes(taker: DeclaredHandler | DeclaredGroup, record: Declared) -> bool:
    if isinstance(taker, DeclaredGroup):
        return isinstance(record, DeclaredStream) and taker.stream == record.name
    return not isinstance(record, DeclaredStream) and taker.topic == record.name


def _answer(taker: DeclaredHandler | DeclaredGroup) -> Carried | None:
    """Return what a queue's handler answers requests with; nobody asks a topic."""
    if not isinstance(taker, DeclaredHandler) or taker.reply is None or taker.name != taker.topic:
        return None
    return Carried(taker.reply, taker.reply.datacontenttype)


def _extensions(taker: DeclaredHandler | DeclaredGroup) -> _Json:
    """Return what AsyncAPI has no words for: how often it is tried, and where it goes then."""
    dead = Subscription(topic=taker.name, name=taker.name).dead
    said: _Json = {
        "x-isthmus-retry": _ladder(taker.options.retry),
        "x-isthmus-dead-letter": {"address": dead},
        "x-isthmus-concurrency": taker.options.concurrency,
    }
    if isinstance(taker, DeclaredGroup):
        said["x-isthmus-start"] = taker.options.start
        said["x-isthmus-on-error"] = taker.options.on_error
    elif taker.options.where:
        said["x-isthmus-where"] = {name: list(each) for name, each in taker.options.where.items()}
    return said


def _ladder(retry: Retry) -> _Json:
    return {name: getattr(retry, name) for name in ("attempts", "delay", "factor", "cap", "jitter")}


def _named(messages: Messages, carried: Carried) -> _Json:
    return {
        name: {"$ref": f"#/components/messages/{_pointer(name)}"}
        for name in messages.names(carried)
    }


def _message(channel: str, name: str) -> dict[str, str]:
    return {"$ref": f"#/channels/{_pointer(channel)}/messages/{_pointer(name)}"}


def _pointer(name: str) -> str:
    """Return a name as a step of a JSON pointer."""
    return name.replace("~", "~0").replace("/", "~1")


def _extension(name: str) -> str:
    return f"x-isthmus-{name.replace('_', '-')}"
