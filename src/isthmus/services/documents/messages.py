"""Messages as AsyncAPI tells them: CloudEvents whose data is of a schema that OpenAPI has, too.

Source: CloudEvents 1.0.2; AsyncAPI 3.0.0, Message and Message Trait Objects.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from isthmus.deadline import HEADER as DEADLINE
from isthmus.message import CAUSATION, CORRELATION, TRACEPARENT, TRACESTATE
from isthmus.schema import Schema, UnionSchema
from isthmus.schema.kinds import type_name
from isthmus.services.documents.draft07 import as_draft_07
from isthmus.services.documents.schemas import Schemas, Use

__all__ = ["CLOUDEVENT", "Carried", "Messages"]

_TEXT = {"type": "string"}
_MOMENT = {"type": "string", "format": "date-time"}

CLOUDEVENT: Mapping[str, Any] = {
    "name": "CloudEvent",
    "description": "Every message is a CloudEvent; where a broker has no headers of its own, its "
    "attributes travel with it in another way.",
    "headers": {
        "type": "object",
        "required": ["specversion", "id", "source", "type"],
        "properties": {
            "specversion": {"const": "1.0"},
            "id": {**_TEXT, "description": "Equal ids are one message, however often sent."},
            "source": {**_TEXT, "description": "Who says so."},
            "type": {**_TEXT, "description": "What happened, or is asked for."},
            "subject": _TEXT,
            "time": {**_MOMENT, "description": "When it was made."},
            "dataschema": {**_TEXT, "description": "Name and version of the payload."},
            "datacontenttype": _TEXT,
            "partitionkey": {**_TEXT, "description": "What keeps its order with others of it."},
            "expirytime": {**_MOMENT, "description": "It is worth nothing after this moment."},
            TRACEPARENT: {**_TEXT, "description": "W3C Trace Context."},
            TRACESTATE: _TEXT,
            CORRELATION: {**_TEXT, "description": "What it belongs to; its own id without this."},
            CAUSATION: {**_TEXT, "description": "Id of the message or request it was made in."},
            DEADLINE: {**_TEXT, "description": "Unix seconds after which nobody waits for it."},
        },
    },
}
"""The trait of all messages."""


class Carried(msgspec.Struct, frozen=True):
    """What a channel carries, and the media type that it is written in."""

    payload: Schema[Any]
    datacontenttype: str

    def members(self) -> Iterator[tuple[Schema[Any], str]]:
        """Yield what a message may be - one type, or those of a choice - with its media type."""
        own = self.datacontenttype == self.payload.datacontenttype
        one = (self.payload,)
        for each in self.payload.members if isinstance(self.payload, UnionSchema) else one:
            yield each, each.datacontenttype if own else self.datacontenttype


class Messages:
    """The messages of a document, each written once, under a name of its own."""

    def __init__(self, carried: Iterable[Carried]) -> None:
        self._names = dict[tuple[Any, str], str]()
        self._messages = dict[str, Carried]()
        for each in carried:
            for schema, format_ in each.members():
                self._name(schema, format_)

    def names(self, carried: Carried) -> Sequence[str]:
        """Return what the messages that are so carried are called, in the members' order."""
        return [self._names[schema.type, format_] for schema, format_ in carried.members()]

    def uses(self) -> list[Use]:
        """Return the types that they carry; bytes are of no schema."""
        types = dict.fromkeys(each.payload.type for each in self._messages.values())
        return [Use(each) for each in types if each is not bytes]

    def document(self, schemas: Schemas) -> dict[str, Any]:
        """Return the Message Objects by name."""
        return {name: _message(carried, schemas) for name, carried in self._messages.items()}

    def _name(self, schema: Schema[Any], format_: str) -> None:
        if (schema.type, format_) in self._names:
            return
        plain = re.sub(r"[^\w.-]+", "_", schema.name or type_name(schema.type)).strip("_")
        if format_ != schema.datacontenttype:
            plain = f"{plain}.{format_.rpartition('/')[2]}"
        name, number = plain, 1
        while name in self._messages:
            number += 1
            name = f"{plain}_{number}"
        self._names[schema.type, format_], self._messages[name] = name, Carried(schema, format_)


def _message(carried: Carried, schemas: Schemas) -> dict[str, Any]:
    schema = carried.payload
    kind = type_name(schema.type)
    attributes = {"type": schema.name, "dataschema": schema.dataschema}
    constant = {name: {"const": value} for name, value in attributes.items() if value}
    message: dict[str, Any] = {
        "name": schema.name or kind,
        "title": f"{kind}, version {schema.version}" if schema.version else kind,
        "contentType": carried.datacontenttype,
        "traits": [{"$ref": "#/components/messageTraits/CloudEvent"}],
    }
    if constant:
        message["headers"] = {"type": "object", "properties": constant}
    if schema.type is not bytes:
        message["payload"] = as_draft_07(schemas.of(Use(schema.type)))
    return message
