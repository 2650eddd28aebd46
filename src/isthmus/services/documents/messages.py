"""Messages as AsyncAPI tells them: CloudEvents whose data is of a schema that OpenAPI has, too.

Source: CloudEvents 1.0.2; AsyncAPI 3.0.0, Message and Message Trait Objects.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from isthmus.deadline import HEADER as DEADLINE
from isthmus.message import CAUSATION, CORRELATION, TRACEPARENT, TRACESTATE
from isthmus.schema import Schema, UnionSchema
from isthmus.schema.kinds import type_name
from isthmus.services.documents.draft07 import as_draft_07
from isthmus.services.documents.schemas import Schemas, Use

__all__ = ["CLOUDEVENT", "Messages", "members_of"]

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


def members_of(schema: Schema[Any]) -> Sequence[Schema[Any]]:
    """Return what a message of this schema may be: one, or those of a choice."""
    return schema.members if isinstance(schema, UnionSchema) else (schema,)


class Messages:
    """The messages of a document, each written once, under a name of its own."""

    def __init__(self, payloads: Iterable[Schema[Any]]) -> None:
        self._names = dict[Any, str]()
        self._schemas = dict[str, Schema[Any]]()
        for payload in payloads:
            for schema in members_of(payload):
                self._name(schema)

    def names(self, payload: Schema[Any]) -> Sequence[str]:
        """Return what the messages that are of this schema are called."""
        return [self._names[schema.type] for schema in members_of(payload)]

    def uses(self) -> list[Use]:
        """Return the types that they carry; bytes are of no schema."""
        return [Use(each.type) for each in self._schemas.values() if each.type is not bytes]

    def document(self, schemas: Schemas) -> dict[str, Any]:
        """Return the Message Objects by name."""
        return {name: _message(schema, schemas) for name, schema in self._schemas.items()}

    def _name(self, schema: Schema[Any]) -> None:
        if schema.type in self._names:
            return
        plain = re.sub(r"[^\w.-]+", "_", schema.name or type_name(schema.type)).strip("_")
        name, number = plain, 1
        while name in self._schemas:
            number += 1
            name = f"{plain}_{number}"
        self._names[schema.type], self._schemas[name] = name, schema


def _message(schema: Schema[Any], schemas: Schemas) -> dict[str, Any]:
    kind = type_name(schema.type)
    attributes = {"type": schema.name, "dataschema": schema.dataschema}
    constant = {name: {"const": value} for name, value in attributes.items() if value}
    message: dict[str, Any] = {
        "name": schema.name or kind,
        "title": f"{kind}, version {schema.version}" if schema.version else kind,
        "contentType": schema.datacontenttype,
        "traits": [{"$ref": "#/components/messageTraits/CloudEvent"}],
    }
    if constant:
        message["headers"] = {"type": "object", "properties": constant}
    if schema.type is not bytes:
        message["payload"] = as_draft_07(schemas.of(Use(schema.type)))
    return message
