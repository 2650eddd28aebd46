"""What goes with a status: faults of the request, and when to try again.

Source: google.rpc (status.proto, error_details.proto), in the trailer `grpc-status-details-bin`.
"""

from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any, NamedTuple

from google.protobuf import any_pb2, descriptor_pb2, duration_pb2, message_factory
from google.protobuf.descriptor_pool import DescriptorPool

__all__ = ["NEVER_RAN", "TRAILER", "Violation", "packed", "unpacked"]

TRAILER = "grpc-status-details-bin"
NEVER_RAN = "isthmus-never-ran"
"""Trailer of a call that was refused unread: it may be repeated, whatever it does."""
MOST = 4_096
"""Bytes of faults that are sent: trailers of more than 8 KiB are refused by many."""

_PREFIX = "type.googleapis.com/"
_TEXT, _NUMBER, _MESSAGE = 9, 5, 11


class Violation(NamedTuple):
    """One fault of a request."""

    field: str
    description: str


def packed(
    code: int,
    message: str,
    *,
    violations: Sequence[Violation] = (),
    retry_after: float | None = None,
) -> bytes:
    """Return the trailer; violations that it has no room for are left out."""
    kinds = _kinds()
    status = kinds["Status"](code=code, message=message)
    if violations:
        bad = kinds["BadRequest"]()
        for each in violations:
            bad.field_violations.add(field=each.field, description=each.description)
            if bad.ByteSize() > MOST:
                del bad.field_violations[-1]
                break
        _pack(status, bad)
    if retry_after is not None:
        info = kinds["RetryInfo"]()
        info.retry_delay.seconds = int(retry_after)
        info.retry_delay.nanos = int(retry_after % 1 * 1e9)
        _pack(status, info)
    return status.SerializeToString()


def unpacked(trailer: bytes) -> tuple[Sequence[Violation], float | None]:
    """Return the violations in a trailer, and the seconds after which to try again; none of
    both if it cannot be read."""
    kinds = _kinds()
    violations, retry_after = list[Violation](), None
    try:
        for each in kinds["Status"].FromString(trailer).details:
            name = each.type_url.rpartition(".")[2]
            if name == "BadRequest":
                bad = kinds[name].FromString(each.value)
                violations += [Violation(v.field, v.description) for v in bad.field_violations]
            elif name == "RetryInfo":
                delay = kinds[name].FromString(each.value).retry_delay
                retry_after = max(0.0, delay.seconds + delay.nanos / 1e9)
    except Exception:  # noqa: BLE001 - somebody else's bytes
        return (), None
    return violations, retry_after


def _pack(status: Any, message: Any) -> None:
    url = f"{_PREFIX}{message.DESCRIPTOR.full_name}"
    status.details.add(type_url=url, value=message.SerializeToString())


@cache
def _kinds() -> dict[str, Any]:
    """Return the classes of the messages, made in a pool of their own: they may be registered
    in the common one by a package of the user's."""
    pool = DescriptorPool()
    for known in (any_pb2, duration_pb2):
        pool.AddSerializedFile(known.DESCRIPTOR.serialized_pb)
    file = descriptor_pb2.FileDescriptorProto(
        name="isthmus/rpc/details.proto",
        package="google.rpc",
        syntax="proto3",
        dependency=["google/protobuf/any.proto", "google/protobuf/duration.proto"],
    )
    any_, duration = ".google.protobuf.Any", ".google.protobuf.Duration"
    violation = ".google.rpc.BadRequest.FieldViolation"
    status = [("code", _NUMBER, ""), ("message", _TEXT, ""), ("*details", _MESSAGE, any_)]
    _add(file.message_type.add(name="Status"), status)
    bad = file.message_type.add(name="BadRequest")
    _add(bad, [("*field_violations", _MESSAGE, violation)])
    fields = [("field", _TEXT, ""), ("description", _TEXT, "")]
    _add(bad.nested_type.add(name="FieldViolation"), fields)
    _add(file.message_type.add(name="RetryInfo"), [("retry_delay", _MESSAGE, duration)])
    pool.AddSerializedFile(file.SerializeToString())
    found = (pool.FindMessageTypeByName(f"google.rpc.{each.name}") for each in file.message_type)
    return {each.name: message_factory.GetMessageClass(each) for each in found}


def _add(message: Any, fields: Iterable[tuple[str, int, str]]) -> None:
    for number, (name, kind, type_name) in enumerate(fields, 1):
        label = 3 if name.startswith("*") else 1
        added = message.field.add(name=name.lstrip("*"), number=number, label=label, type=kind)
        if type_name:
            added.type_name = type_name
