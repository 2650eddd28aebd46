"""Values that a history keeps, by what a function says of their type."""

from types import NoneType
from typing import Any

import msgspec

from isthmus.errors import ConfigError, SchemaError
from isthmus.handling.calling.signature import NOTHING
from isthmus.schema import Schema, schema_of
from isthmus.schema.kinds import type_name

__all__ = ["LIMIT", "Kept"]

LIMIT = 1 << 20
"""Most bytes of one value: a history is read whole, whenever its saga goes on."""


class Kept:
    """What turns values of one place into bytes and back."""

    def __init__(self, type_: Any, *, what: str) -> None:
        """`type_`: the annotation. Without one, a value has to be what plain JSON can say.
        `what`: of errors, as "what charge() returns".

        Raises:
            ConfigError: No library can carry such a type.
        """
        self._what = what
        self._schema = None if type_ in (NOTHING, Any, object) else _schema(type_, what)

    def encode(self, value: Any) -> bytes:
        """Raises SchemaError if the value is of another type, or cannot be kept."""
        kept = self._plain(value) if self._schema is None else self._typed(self._schema, value)
        if len(kept) > LIMIT:
            raise SchemaError(
                f"{self._what} has {len(kept)} bytes, at most {LIMIT} are kept: store it "
                "elsewhere, and give a reference to it"
            )
        return kept

    def decode(self, kept: bytes) -> Any:
        return msgspec.json.decode(kept) if self._schema is None else self._schema.decode(kept)

    def _typed(self, schema: Schema[Any], value: Any) -> bytes:
        try:
            return schema.encode(value)
        except SchemaError as error:
            raise SchemaError(f"{self._what}: {error}", problems=error.problems) from error

    def _plain(self, value: Any) -> bytes:
        try:
            kept = msgspec.json.encode(value)
        except Exception as error:
            raise SchemaError(f"{self._what} cannot be kept: {error}") from error
        if msgspec.json.decode(kept) != value:
            raise SchemaError(
                f"{self._what}, {type_name(type(value))}, would be read as plain JSON when the "
                "saga goes on elsewhere; annotate its type"
            )
        return kept


def _schema(type_: Any, what: str) -> Schema[Any]:
    try:
        schema = schema_of(NoneType if type_ is None else type_)
        schema.codec  # noqa: B018 - compiled now, so that what can't be kept is refused at once
    except ConfigError as error:
        raise ConfigError(f"{what}, {type_name(type_)}, cannot be kept: {error}") from error
    return schema
