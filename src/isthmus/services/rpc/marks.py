"""What is written beside methods and types, for what Python's own words cannot say."""

from collections.abc import Callable
from typing import Annotated, Any, TypeVar

import msgspec

__all__ = [
    "Fixed32",
    "Fixed64",
    "Float",
    "Int32",
    "SFixed32",
    "SFixed64",
    "SInt32",
    "SInt64",
    "UInt32",
    "UInt64",
    "Wire",
    "given",
    "idempotent",
    "is_idempotent",
]

Function = TypeVar("Function", bound=Callable[..., Any])

_IDEMPOTENT = "__isthmus_idempotent__"


class Wire(msgspec.Struct, frozen=True):
    """`Annotated[int, Wire("uint32")]`: the field's type in Protobuf."""

    type: str


Int32 = Annotated[int, Wire("int32")]
UInt32 = Annotated[int, Wire("uint32")]
UInt64 = Annotated[int, Wire("uint64")]
SInt32 = Annotated[int, Wire("sint32")]
SInt64 = Annotated[int, Wire("sint64")]
Fixed32 = Annotated[int, Wire("fixed32")]
Fixed64 = Annotated[int, Wire("fixed64")]
SFixed32 = Annotated[int, Wire("sfixed32")]
SFixed64 = Annotated[int, Wire("sfixed64")]
Float = Annotated[float, Wire("float")]
"""A float of 32 bits; a plain `float` has 64."""

given: Any = object()
"""The default of a parameter that isthmus gives and no caller has to: `tx: Transaction = given`."""


def idempotent(method: Function) -> Function:
    """Declare that calling `method` twice has one effect: a stub may then repeat a call that
    perhaps ran."""
    setattr(method, _IDEMPOTENT, True)
    return method


def is_idempotent(method: Callable[..., Any]) -> bool:
    return getattr(method, _IDEMPOTENT, False)
