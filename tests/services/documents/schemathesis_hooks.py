"""What schemathesis is told of MessagePack, which routes may read and write beside JSON."""

from typing import Any

import msgspec
import schemathesis

MESSAGEPACK = "application/vnd.msgpack"


@schemathesis.serializer(MESSAGEPACK)
def written(_: Any, value: Any) -> bytes:
    if isinstance(value, bytes):
        return value
    return msgspec.msgpack.encode(bounded(msgspec.json.decode(msgspec.json.encode(value))))


@schemathesis.deserializer(MESSAGEPACK)
def read(_: Any, response: Any) -> Any:
    return msgspec.msgpack.decode(response.content)


def bounded(value: Any) -> Any:
    """Return a JSON value with the nearest integers that MessagePack has: those of 64 bits."""
    if isinstance(value, dict):
        return {name: bounded(part) for name, part in value.items()}
    if isinstance(value, list):
        return [bounded(part) for part in value]
    if isinstance(value, int) and not isinstance(value, bool):
        return min(max(value, -(2**63)), 2**64 - 1)
    return value
