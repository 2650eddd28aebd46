"""A value becomes a message: encoded, named, and continuing what it was made in."""

from collections.abc import Mapping
from datetime import datetime
from typing import Generic, TypeVar

from isthmus.clock import Clock
from isthmus.deadline import HEADER as DEADLINE
from isthmus.deadline import Deadline
from isthmus.errors import ConfigError, SchemaError
from isthmus.handling.carried import carried
from isthmus.message import Message, new_id
from isthmus.schema import Schema
from isthmus.schema.kinds import type_name
from isthmus.schema.named import described
from isthmus.schema.wire import Wire

__all__ = ["Envelope"]

T = TypeVar("T")


class Envelope(Generic[T]):
    """Makes the messages of one queue, topic or stream."""

    def __init__(self, wire: Wire[T] | Schema[T], *, of: str, source: str, clock: Clock) -> None:
        """`wire`: how values are written; a schema alone, as JSON. `of`: what the messages are
        for, in errors, as "queue 'orders'"."""
        self.wire = Wire(wire, place="") if isinstance(wire, Schema) else wire
        self._schema, self._plain, self._of = self.wire.schema, self.wire.plain, of
        self._source, self._now = source, clock.now

    def message(
        self,
        value: T,
        *,
        id: str | None = None,
        key: str = "",
        subject: str = "",
        priority: int = 0,
        ttl: float | None = None,
        deadline: datetime | Deadline | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Message:
        """Raises SchemaError if `value` is not what is sent here, or id, key or a header
        no text; ConfigError if `priority` is out of range, or `deadline` has no time zone."""
        if headers is not None:
            _require_text(headers)
        if deadline is not None:
            headers = {**(headers or {}), DEADLINE: f"{_moment(deadline):.3f}"}
        if not (id is None or isinstance(id, str)) or not isinstance(key, str):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise SchemaError(f"id={id!r}, key={key!r}: expected str")
        if priority and not -9 <= priority <= 9:
            raise ConfigError(f"priority={priority!r} is out of range: -9 to 9")
        try:
            schema = self._schema.member(value)
        except SchemaError as error:
            raise self._misfit(value) from error
        if self._plain:
            body, datacontenttype = schema.encode_member(value), schema.datacontenttype
        else:
            body, datacontenttype = self.wire.write(schema, value)
        now = self._now()
        return Message(
            body=body,
            id=new_id() if id is None else id,
            type=schema.name,
            source=self._source,
            subject=subject,
            time=now,
            dataschema=schema.dataschema,
            datacontenttype=datacontenttype,
            key=key,
            priority=priority,
            expires_at=0.0 if ttl is None else now + ttl,
            headers=_with_carried(headers),
        )

    def _misfit(self, value: object) -> SchemaError:
        carried, got = type_name(self._schema.type), described(value)
        return SchemaError(f"{self._of} carries {carried}, got {got}")


def _moment(deadline: object) -> float:
    if isinstance(deadline, Deadline):
        return deadline.at
    if not isinstance(deadline, datetime):
        raise ConfigError(
            f"deadline={deadline!r}: expected a moment, as isthmus.deadline.deadline(30) or a "
            "datetime; a span after which the message is worthless is ttl="
        )
    if deadline.tzinfo is None:
        raise ConfigError(
            f"deadline={deadline.isoformat()} has no time zone; use datetime.now(UTC)"
        )
    return deadline.timestamp()


def _require_text(headers: Mapping[str, str]) -> None:
    for name, value in headers.items():
        if not (isinstance(name, str) and isinstance(value, str)):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise SchemaError(f"header {name!r} is {value!r}: names and values of headers are str")


def _with_carried(headers: Mapping[str, str] | None) -> Mapping[str, str]:
    found = carried()
    if headers is None:
        return found
    return {**found, **headers} if found else dict(headers)
