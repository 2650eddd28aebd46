"""A whole model as a message, and back; with every fault of one that does not fit."""

from collections.abc import Callable, Sequence
from typing import Any

from isthmus.errors import SchemaError
from isthmus.schema.faults import pydantic_faults
from isthmus.schema.kinds import type_name
from isthmus.services.rpc.wire.fields import BAD, Bound
from isthmus.services.rpc.wire.lines import filling, reading
from isthmus.services.rpc.wire.models import is_by_place

__all__ = ["Converter", "UnreadableError"]

MOST = 50
"""Faults told of one message."""


class UnreadableError(SchemaError):
    """Bytes from outside are not the message that they should be."""


class Converter:
    """One model and one message. Its fields are given after it was made, as models may
    contain themselves."""

    def __init__(self, type_: Any, message: Any) -> None:
        """`message`: the class of the message."""
        self.type, self.message = type_, message
        self._fields: Sequence[Bound] = ()
        self.fill: Callable[[Any, Any], None]
        self.read: Callable[[Any], Any]

    def give(self, fields: Sequence[Bound]) -> None:
        """Have it write and read `fields`, which are those of its model, in their order."""
        self._fields = fields
        self.fill = filling(fields)
        self.read = reading(self.type, fields, by_place=is_by_place(self.type))

    # --- the whole ---------------------------------------------------------------------------

    def encode(self, value: Any) -> bytes:
        """Raises SchemaError if `value` is no such model, or does not fit."""
        message = self.message()
        try:
            self.fill(message, value)
            return message.SerializeToString()
        except BAD as error:
            faults = self.unwritable(value, "")[:MOST] or [str(error)]
            told = f"{self._title}: {'; '.join(faults[:3])}"
            raise SchemaError(told, problems=faults) from error

    def decode(self, body: bytes) -> Any:
        """Raises UnreadableError, with every fault."""
        message = self.message()
        try:
            message.ParseFromString(body)
            return self.read(message)
        except Exception as error:
            raise self._unreadable(message, error) from error

    def _unreadable(self, message: Any, error: Exception) -> UnreadableError:
        if type(error).__name__ == "DecodeError":
            faults = ["body: it is no Protobuf message of this type"]
        else:
            faults = self.unreadable(message, "")[:MOST] or [str(error)]
        return UnreadableError(f"{self._title}: {'; '.join(faults[:3])}", problems=faults)

    # --- faults ------------------------------------------------------------------------------

    def unreadable(self, message: Any, path: str) -> list[str]:
        """Return every reason for which `message` cannot be read."""
        faults = list[str]()
        for field in self._fields:
            faults += field.unreadable(message, _within(path, field.attribute))
        if not faults:
            try:
                self.read(message)
            except Exception as error:  # noqa: BLE001 - the model's own check
                faults = [_placed(path, fault) for fault in pydantic_faults(error)]
        return faults

    def unwritable(self, value: Any, path: str) -> list[str]:
        """Return every reason for which `value` cannot be written."""
        attributes = [field.attribute for field in self._fields]
        if not all(hasattr(value, each) for each in attributes):
            return [f"{path or 'message'}: expected {self._title}, got {type(value).__name__}"]
        faults = list[str]()
        for field in self._fields:
            each, at = getattr(value, field.attribute), _within(path, field.attribute)
            faults += field.unwritable(self.message(), each, at)
        return faults

    @property
    def _title(self) -> str:
        return type_name(self.type)


def _within(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _placed(path: str, fault: str) -> str:
    where, _, what = fault.partition(": ")
    if where == "body":
        return f"{path or 'body'}: {what}"
    return f"{_within(path, where)}: {what}"
