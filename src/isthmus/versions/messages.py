"""Messages of another version than a handler's payload: led to it before they are decoded."""

from collections.abc import Callable
from typing import Any

import msgspec

from isthmus.errors import SchemaError
from isthmus.message import Message
from isthmus.schema import Schema, UnionSchema, schema_of
from isthmus.schema.named import Label
from isthmus.versions.errors import MigrationError
from isthmus.versions.lineages import Lineages
from isthmus.versions.migration import Migrations
from isthmus.versions.names import Names
from isthmus.versions.upcasting import Upcasting

__all__ = ["HEADER", "Messages"]

HEADER = "isthmus-api-version"
"""What says that a message is of an older API version, where its schema does not."""

Translate = Callable[[Message], Message]


class Messages:
    """Two cases: a message says by its header that it is old, and the handler is of HEAD; or
    the handler takes what a type `was`, and the message is newer."""

    def __init__(
        self, names: Names, lineages: Lineages, migrations: Migrations, upcasting: Upcasting
    ) -> None:
        self._names, self._lineages = names, lineages
        self._migrations, self._upcasting = migrations, upcasting

    def translator(self, schema: Schema[Any]) -> Translate | None:
        """Return what leads a message to the version of `schema`; None if no version changed
        what it carries. The function raises SchemaError if a message cannot be led there."""
        if isinstance(schema, UnionSchema):
            return self._of_union(schema)
        wanted = self._lineages.written_for(schema.type)
        if wanted is not None:
            return self._downwards(schema, self._lineages.head(schema.type), wanted)
        if any(self._migrations.of(schema.type, old).up for old in self._names.all[1:]):
            return self._upwards(schema)
        return None

    def _of_union(self, union: UnionSchema) -> Translate | None:
        each = {member.name: self.translator(member) for member in union.members}
        if not any(each.values()):
            return None

        def translate(message: Message) -> Message:
            label = Label.parse(message.dataschema)
            one = each.get(label.name if label else message.type)
            return message if one is None else one(message)

        return translate

    def _upwards(self, schema: Schema[Any]) -> Translate:
        def translate(message: Message) -> Message:
            said = message.headers.get(HEADER)
            if said is None or Label.parse(message.dataschema) is not None:
                return message  # the schema's own upcasters know what to do
            return self._led(message, schema, schema.type, self._said(said), self._names.head)

        return translate

    def _downwards(self, schema: Schema[Any], head: Any, wanted: str) -> Translate:
        def translate(message: Message) -> Message:
            written = self._written(message, head)
            if written is None or written == wanted:
                return message
            return self._led(message, schema, head, written, wanted)

        return translate

    def _written(self, message: Message, head: Any) -> str | None:
        """Return the version that a message is of; None if nothing tells."""
        newest, label = schema_of(head), Label.parse(message.dataschema)
        if label is not None and label.name == newest.name:
            return self._upcasting.written_for(head, label.version)
        if (said := message.headers.get(HEADER)) is not None:
            return self._said(said)
        return self._names.head if label is None and message.type == newest.name else None

    def _said(self, text: str) -> str:
        if (version := self._names.find(text)) is None:
            raise SchemaError(f"the message is of version {text!r}; there are {self._names}")
        return version

    def _led(
        self, message: Message, schema: Schema[Any], head: Any, written: str, wanted: str
    ) -> Message:
        up, down = self._migrations.of(head, written).up, self._migrations.of(head, wanted).down
        try:
            value = msgspec.json.decode(message.body)
            for lead in (up, down):
                value = value if lead is None else lead(value)
            body = msgspec.json.encode(value)
        except (msgspec.MsgspecError, UnicodeError, MigrationError, TypeError) as error:
            raise SchemaError(
                f"a message of {written} cannot be led to {wanted}: {error}"
            ) from error
        return msgspec.structs.replace(
            message.without_headers([HEADER]), body=body, dataschema=schema.dataschema
        )
