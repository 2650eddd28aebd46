"""A record as its reader sees it: decoded, and at its place."""

from collections.abc import Mapping
from typing import Generic, TypeVar

import msgspec

from isthmus.contracts import Record
from isthmus.errors import SchemaError
from isthmus.schema.wire import Wire

__all__ = ["Recorded", "recorded"]

T = TypeVar("T")


class Recorded(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """One record of a stream."""

    value: T
    id: str
    key: str
    partition: int
    offset: int
    at: float
    """When it was appended, Unix seconds."""
    headers: Mapping[str, str]


def recorded(record: Record, wire: Wire[T]) -> Recorded[T]:
    """Raises SchemaError, saying where the record lies."""
    message = record.message
    try:
        value = wire.read(message)
    except SchemaError as error:
        where = f"partition {record.partition}, offset {record.offset}"
        raise SchemaError(f"{where}: {error}", problems=error.problems) from error
    return Recorded(
        value=value,
        id=message.id,
        key=message.key,
        partition=record.partition,
        offset=record.offset,
        at=record.at,
        headers=message.headers,
    )
