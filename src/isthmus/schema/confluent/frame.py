"""The wire format: a zero byte, the id of the schema that it was written with, the body.

Source: Confluent's documentation of its wire format; protobuf has the message's place in its
file after the id, as zigzag varints.
"""

from typing import NamedTuple

from isthmus.errors import SchemaError

__all__ = ["Frame", "framed", "pack_indexes"]

MAGIC = b"\0"
HEAD = 5
DEEPEST = 64
"""Levels of nested messages that are read."""


def framed(id: int, body: bytes) -> bytes:
    """Return `body` with its frame."""
    return MAGIC + id.to_bytes(4, "big") + body


def pack_indexes(indexes: tuple[int, ...]) -> bytes:
    """Return a message's place in its file; the first message is so common that it is one byte."""
    if indexes == (0,):
        return b"\0"
    return b"".join(_varint(number << 1) for number in (len(indexes), *indexes))


class Frame(NamedTuple):
    """A framed body, opened."""

    id: int
    body: bytes

    @classmethod
    def of(cls, body: bytes) -> "Frame | None":
        """Open a body; None if it has no frame.

        Raises:
            SchemaError: It begins as one, and is cut off.
        """
        if body[:1] != MAGIC:
            return None
        if len(body) < HEAD:
            raise SchemaError(f"a body of {len(body)} bytes is too short for a schema's id")
        return cls(int.from_bytes(body[1:HEAD], "big"), body[HEAD:])

    @classmethod
    def without(cls, body: bytes) -> bytes:
        """Return a body without its frame, if it has one."""
        return body if (frame := cls.of(body)) is None else frame.body

    def with_indexes(self) -> tuple[tuple[int, ...], bytes]:
        """Return the message's place in its file, and what follows.

        Raises:
            SchemaError: It has none.
        """
        count, at = _unvarint(self.body, 0)
        if not 0 <= count <= DEEPEST:
            raise SchemaError(f"{count} levels of nested messages: at most {DEEPEST} are read")
        indexes = list[int]()
        for _ in range(count):
            index, at = _unvarint(self.body, at)
            indexes.append(index)
        return tuple(indexes) or (0,), self.body[at:]


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _unvarint(body: bytes, at: int) -> tuple[int, int]:
    """Return the zigzag number at `at`, and what follows it."""
    number = shift = 0
    while at < len(body) and shift < 64:
        byte = body[at]
        number |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return (number >> 1) ^ -(number & 1), at
    raise SchemaError("the message's place in its file is cut off")
