"""How one value is written and read: a value of its own, or a message that is filled."""

import enum
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

from isthmus.services.rpc.wire.scalars import (
    Scalar,
    fill_duration,
    fill_timestamp,
    read_duration,
    read_timestamp,
)
from isthmus.services.rpc.wire.shapes import Known

__all__ = ["Element", "MissingError", "Part", "Value", "known_part", "scalar_value", "symbols"]


class MissingError(Exception):
    """A value has to be there, and is not."""


class Value(NamedTuple):
    """A value that is set."""

    write: Callable[[Any], Any]
    read: Callable[[Any], Any]


class Part(Protocol):
    """A message within, that is filled."""

    def fill(self, message: Any, value: Any, /) -> None: ...

    def read(self, message: Any, /) -> Any: ...

    def unreadable(self, message: Any, path: str) -> list[str]:
        """Return every reason for which it cannot be read."""
        ...

    def unwritable(self, value: Any, path: str) -> list[str]:
        """Return every reason for which `value` cannot be written."""
        ...


Element = Value | Part


class KnownPart:
    """A message of Protobuf's own."""

    def __init__(self, known: Known, message: Callable[[], Any]) -> None:
        """`message` makes an empty one, to try."""
        moment = known.name.endswith("Timestamp")
        self.fill: Callable[[Any, Any], None] = fill_timestamp if moment else fill_duration
        self.read: Callable[[Any], Any] = read_timestamp if moment else read_duration
        self.python, self.message = known.python, message

    def unreadable(self, message: Any, path: str) -> list[str]:
        try:
            self.read(message)
        except (ValueError, OverflowError) as error:
            return [f"{path}: {error}"]
        return []

    def unwritable(self, value: Any, path: str) -> list[str]:
        if not isinstance(value, self.python):
            return [f"{path}: expected {self.python.__name__}, got {type(value).__name__}"]
        try:
            self.fill(self.message(), value)
        except (TypeError, ValueError, OverflowError) as error:
            return [f"{path}: {error}"]
        return []


def scalar_value(scalar: Scalar) -> Value:
    return Value(scalar.write, scalar.read)


def known_part(known: Known, message: Callable[[], Any]) -> Part:
    return KnownPart(known, message)


def symbols(type_: type[enum.Enum], numbers: Mapping[str, int]) -> Value:
    """Return how an enum is written; `numbers` by the member's name."""
    to_number = {member: numbers[member.name] for member in type_}
    to_member = {number: member for member, number in to_number.items()}

    def write(member: Any) -> int:
        try:
            return to_number[member]
        except (KeyError, TypeError):
            raise TypeError(f"{member!r} is no {type_.__name__}") from None

    def read(number: int) -> Any:
        found = to_member.get(number)
        if found is not None:
            return found
        if number == 0:
            raise MissingError("missing")
        raise ValueError(f"{number} is no {type_.__name__}")

    return Value(write, read)
