"""The events of one aggregate type, to messages and back."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from isthmus.clock import Clock
from isthmus.contracts import Record
from isthmus.errors import SchemaError
from isthmus.handling.envelope import Envelope
from isthmus.message import Message
from isthmus.schema import Schema, UnionSchema
from isthmus.sourcing.recorded import Recorded
from isthmus.sourcing.seals import Seals

__all__ = ["Events"]


class Events:
    """Writes and reads events, each by a decoder that is looked up once."""

    def __init__(
        self, schema: Schema[Any], seals: Seals, *, of: str, source: str, clock: Clock
    ) -> None:
        self._schema = schema
        self.opened = seals.open
        """Makes records readable, before `recorded` or `value` of each."""
        self._envelope = Envelope(schema, of=of, source=source, clock=clock)
        self._decoders: dict[str, Callable[[bytes], Any]] = {}
        for member in schema.members if isinstance(schema, UnionSchema) else (schema,):
            self._decoders[member.dataschema or member.name] = member.codec.decode

    def written(
        self, key: str, events: Sequence[Any], headers: Mapping[str, str]
    ) -> tuple[Sequence[Message], Sequence[Any]]:
        """Return events as messages, and as they will be read back.

        Raises:
            SchemaError: One cannot be written, or could not be read again.
        """
        message = self._envelope.message
        messages = [message(event, key=key, headers=headers) for event in events]
        return messages, [self.read(each) for each in messages]

    def read(self, message: Message) -> Any:
        """Return the event in a message, led to its newest version.

        Raises:
            SchemaError: It is none of this aggregate's.
        """
        decode = self._decoders.get(message.dataschema or message.type)
        if decode is not None:
            try:
                return decode(message.body)
            except Exception:  # noqa: BLE001, S110 - said in our words, below
                pass
        return self._schema.decode(message.body, dataschema=message.dataschema, type=message.type)

    def recorded(self, record: Record) -> Recorded[Any]:
        """Raises SchemaError, saying where the event lies."""
        message = record.message
        try:
            value = self.read(message)
        except SchemaError as error:
            raise _at(record, error) from error
        return Recorded(
            value,
            message.key,
            record.version,
            message.id,
            message.time or record.at,
            record.partition,
            record.offset,
            message.headers,
        )

    def value(self, record: Record) -> Any:
        """Return the event alone; raises as `recorded`."""
        try:
            return self.read(record.message)
        except SchemaError as error:
            raise _at(record, error) from error


def _at(record: Record, error: SchemaError) -> SchemaError:
    place = f"event {record.version} of {record.message.key!r}"
    return SchemaError(f"{place}: {error}", problems=error.problems)
