"""How each field of a model is written, decided once: its shape, and what its absence means."""

import enum
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from isthmus.errors import ConfigError
from isthmus.schema.kinds import type_name
from isthmus.services.rpc.wire.models import ModelField, model_fields
from isthmus.services.rpc.wire.scalars import Scalar
from isthmus.services.rpc.wire.shapes import (
    Enumeration,
    Listed,
    Mapped,
    Shape,
    ShapeError,
    shape_of,
)

__all__ = ["Planned", "plan_of"]

_ZERO = {str: "", bytes: b"", bool: False, int: 0, float: 0.0}


class Planned(NamedTuple):
    field: ModelField
    shape: Shape
    optional: bool
    """Whether it may be None."""
    explicit: bool
    """Whether its absence has to be told from its zero, which Protobuf calls `optional`."""
    absent: Callable[[], Any] | None
    """Makes its value where it is absent; None if it must not be."""
    narrow: Any
    """The annotation that its value is checked against; None if nothing is left to check."""


def plan_of(type_: Any) -> Sequence[Planned]:
    """Return the plan of a model's fields.

    Raises:
        ConfigError: Protobuf cannot carry some; all of them are named.
    """
    found, faults = list[Planned](), list[str]()
    for field in model_fields(type_):
        try:
            found.append(_planned(field))
        except ShapeError as error:
            faults.append(f"  {field.name}: {error}")
    if faults:
        listed = "\n".join(faults)
        raise ConfigError(f"{type_name(type_)} cannot be a message of Protobuf:\n{listed}")
    return found


def _planned(field: ModelField) -> Planned:
    shape, optional, narrow = shape_of(field.hint)
    default = field.default
    if isinstance(shape, Enumeration) and issubclass(shape.type, enum.Flag):
        raise ShapeError(f"{shape.type.__name__} is a set of flags; make it an int, or a list")
    if isinstance(shape, Listed | Mapped):
        _refuse_full(default)
    if optional:
        _refuse_ambiguous(field)
        default = _none
    explicit = isinstance(shape, Scalar | Enumeration) and (
        optional or (default is not None and not _is_zero(default(), shape))
    )
    wanted = field.hint if narrow and not field.checked else None
    return Planned(field, shape, optional, explicit, default, wanted)


def _none() -> None:
    return None


def _refuse_full(default: Callable[[], Any] | None) -> None:
    if default is not None and default():
        raise ShapeError(
            "its default is not empty, and Protobuf cannot tell that from an empty one"
        )


def _refuse_ambiguous(field: ModelField) -> None:
    if field.default is not None and field.default() is not None:
        raise ShapeError(
            f"it may be None and its default is {field.default()!r}: Protobuf cannot tell None "
            "from nothing; make None the default, or take `| None` away"
        )


def _is_zero(value: Any, shape: Shape) -> bool:
    if not isinstance(shape, Scalar) or shape.python not in _ZERO:
        return False
    zero = _ZERO[shape.python]
    return type(value) is type(zero) and value == zero
