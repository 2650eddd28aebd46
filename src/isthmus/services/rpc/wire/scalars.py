"""Values that are written as another type than their own, and read back."""

import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any, NamedTuple

__all__ = [
    "SCALARS",
    "Scalar",
    "fill_duration",
    "fill_timestamp",
    "read_duration",
    "read_timestamp",
    "same",
]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


class Scalar(NamedTuple):
    """A type that is one value on the wire."""

    python: type
    wire: str
    """Its type in Protobuf."""
    write: Callable[[Any], Any]
    read: Callable[[Any], Any]


def same(value: Any) -> Any:
    """Return a value that is on the wire as it is in Python."""
    return value


def _text_of(kind: type) -> Callable[[Any], str]:
    def write(value: Any) -> str:
        if not isinstance(value, kind):
            raise TypeError(f"expected {kind.__name__}, got {type(value).__name__}")
        return str(value)

    return write


def _moment_of(kind: Any) -> Callable[[Any], str]:
    def write(value: Any) -> str:
        if not isinstance(value, kind):
            raise TypeError(f"expected {kind.__name__}, got {type(value).__name__}")
        moment: Any = value
        return moment.isoformat()

    return write


def _decimal(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation as error:
        raise ValueError(f"{text!r} is no decimal number") from error


def _uuid(text: str) -> uuid.UUID:
    try:
        return uuid.UUID(text)
    except ValueError as error:
        raise ValueError(f"{text!r} is no UUID") from error


SCALARS: Mapping[Any, Scalar] = {
    str: Scalar(str, "string", same, same),
    bytes: Scalar(bytes, "bytes", same, same),
    bool: Scalar(bool, "bool", same, same),
    int: Scalar(int, "int64", same, same),
    float: Scalar(float, "double", same, same),
    Decimal: Scalar(Decimal, "string", _text_of(Decimal), _decimal),
    uuid.UUID: Scalar(uuid.UUID, "string", _text_of(uuid.UUID), _uuid),
    date: Scalar(date, "string", _moment_of(date), date.fromisoformat),
    time: Scalar(time, "string", _moment_of(time), time.fromisoformat),
}
"""By the type that a program writes."""


def fill_timestamp(message: Any, moment: datetime) -> None:
    """Write a moment; one without a time zone is refused by ValueError."""
    if moment.tzinfo is None:
        raise ValueError(f"{moment.isoformat()} has no time zone; use datetime.now(UTC)")
    since = moment - EPOCH
    message.seconds = since.days * 86_400 + since.seconds
    message.nanos = since.microseconds * 1_000


def read_timestamp(message: Any) -> datetime:
    """Return a moment in UTC; nanoseconds are cut to microseconds."""
    return EPOCH + timedelta(seconds=message.seconds, microseconds=message.nanos // 1_000)


def fill_duration(message: Any, span: timedelta) -> None:
    """Write a span: seconds and nanoseconds of one sign."""
    micros = abs(span // MICROSECOND)
    sign = -1 if span < timedelta() else 1
    message.seconds = sign * (micros // 1_000_000)
    message.nanos = sign * (micros % 1_000_000) * 1_000


def read_duration(message: Any) -> timedelta:
    micros = abs(message.nanos) // 1_000
    return timedelta(seconds=message.seconds, microseconds=-micros if message.nanos < 0 else micros)
