"""An event that a flow follows: all of a topic, or one type of those that it carries."""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

from isthmus.errors import ConfigError
from isthmus.message import Message
from isthmus.messaging import Topic
from isthmus.schema import Schema, UnionSchema

__all__ = ["Event", "Followed", "KeyOf", "followed"]

T = TypeVar("T")

Event = Topic[T] | tuple[Topic[Any], type[T]]
"""As users write it: `placed`, or `(orders, Placed)`."""

KeyOf = Callable[[Any], str | None]


class Followed(NamedTuple):
    """An event, by the name that it has in its flow."""

    name: str
    topic: Topic[Any]
    member: Schema[Any] | None
    """The one type of the topic that it is; None if it is all that the topic carries."""
    key: KeyOf | None = None

    def matches(self, message: Message) -> bool:
        """Whether a message of its topic is this event."""
        if self.member is None or not isinstance(self.topic.schema, UnionSchema):
            return True
        return self.member.name == message.type


def followed(event: Any, *, key: KeyOf | None = None) -> Followed:
    """Raises ConfigError if `event` is none."""
    if isinstance(event, Topic):
        return Followed(event.name, event, None, key)
    if isinstance(event, tuple) and len(event) == 2 and isinstance(event[0], Topic):  # pyright: ignore[reportUnknownArgumentType]
        topic, kind = event[0], event[1]  # pyright: ignore[reportUnknownVariableType]
        for member in _members(topic.schema):  # pyright: ignore[reportUnknownArgumentType, reportUnknownMemberType]
            if member.type is kind:
                return Followed(member.name, topic, member, key)
        raise ConfigError(f"topic {topic.name!r} does not carry {kind!r}")
    raise ConfigError(f"{event!r} is no event: write a topic, or a topic and one of its types")


def _members(schema: Schema[Any]) -> tuple[Schema[Any], ...]:
    return schema.members if isinstance(schema, UnionSchema) else (schema,)
