"""What a Python type is in Protobuf."""

import enum
import types
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from types import NoneType
from typing import Annotated, Any, Literal, NamedTuple, get_args, get_origin

from msgspec import Meta

from isthmus.schema.kinds import is_model, members_of, type_name
from isthmus.services.rpc.marks import Wire
from isthmus.services.rpc.wire.scalars import SCALARS, Scalar

__all__ = [
    "Choice",
    "Enumeration",
    "Known",
    "Listed",
    "Mapped",
    "Nested",
    "Shape",
    "ShapeError",
    "model_name",
    "shape_of",
    "snake",
]


class ShapeError(Exception):
    """Protobuf has nothing of that shape; says what may be written instead."""


class Nested(NamedTuple):
    """A model within."""

    type: Any


class Enumeration(NamedTuple):
    type: type[enum.Enum]


class Known(NamedTuple):
    """A message that Protobuf itself defines."""

    name: str
    """"google.protobuf.Timestamp"."""
    python: type


class Listed(NamedTuple):
    element: "Single"
    container: Any
    """What makes it of a list."""


class Mapped(NamedTuple):
    key: Scalar
    value: "Single"


class Choice(NamedTuple):
    """One of several, told apart by their type."""

    members: tuple[tuple[str, "Single"], ...]
    """Each with what its field's name ends with."""


Single = Scalar | Nested | Enumeration | Known
Shape = Single | Listed | Mapped | Choice

_KNOWN = {
    datetime: Known("google.protobuf.Timestamp", datetime),
    timedelta: Known("google.protobuf.Duration", timedelta),
}
_INTEGERS = frozenset((
    "int32", "int64", "uint32", "uint64", "sint32", "sint64",
    "fixed32", "fixed64", "sfixed32", "sfixed64",
))  # fmt: skip
_FLOATS = frozenset(("float", "double"))
_LISTS: Mapping[Any, Any] = {
    list: list,
    Sequence: list,
    tuple: tuple,
    set: set,
    frozenset: frozenset,
}
_KEYS = (str, int, bool)


def shape_of(hint: Any) -> tuple[Shape, bool, bool]:
    """Return the shape of a field, whether it may be None, and whether its values have to be
    checked, as they are of a narrower type than the shape tells.

    Raises:
        ShapeError: Protobuf has nothing of the kind.
    """
    members = members_of(_plain(hint))
    some = [member for member in members if member is not NoneType]
    optional = len(some) < len(members)
    if len(some) > 1:
        return _choice(some), optional, _is_narrow(hint)
    inner = some[0] if members else hint
    shape = _shape(inner)
    if optional and isinstance(shape, Listed | Mapped):
        raise ShapeError(
            f"{type_name(_plain(hint))}: Protobuf cannot tell an empty list or map from none; take "
            "`| None` away"
        )
    return shape, optional, _is_narrow(hint)


def _shape(hint: Any) -> Shape:
    plain = _plain(hint)
    origin, arguments = get_origin(plain) or plain, get_args(plain)
    if origin in _LISTS:
        return _listed(plain, origin, arguments)
    if origin in {dict, Mapping}:
        return _mapped(plain, arguments)
    return _single(hint)


def _listed(plain: Any, origin: Any, arguments: tuple[Any, ...]) -> Listed:
    if origin is tuple and not (len(arguments) == 2 and arguments[1] is Ellipsis):
        raise ShapeError(
            f"{type_name(plain)}: a tuple of fixed places has no names for them; write "
            "tuple[X, ...], or a model"
        )
    if not arguments:
        raise ShapeError(f"{type_name(plain)}: say what is in it, as list[str]")
    return Listed(_single(arguments[0], within=type_name(plain)), _LISTS[origin])


def _mapped(plain: Any, arguments: tuple[Any, ...]) -> Mapped:
    if not arguments:
        raise ShapeError(f"{type_name(plain)}: say what is in it, as dict[str, int]")
    key = _single(arguments[0], within=type_name(plain))
    if not isinstance(key, Scalar) or key.python not in _KEYS:
        raise ShapeError(f"{type_name(plain)}: keys of a map are str, int or bool")
    return Mapped(key, _single(arguments[1], within=type_name(plain)))


def _choice(members: Sequence[Any]) -> Choice:
    found = list[tuple[str, Single]]()
    for member in members:
        single = _single(member, within=" | ".join(map(type_name, members)))
        if not isinstance(single, Scalar | Nested | Known):
            raise ShapeError(f"{type_name(member)} in a union: members are models and plain types")
        found.append((snake(model_name(_plain(member))), single))
    names = [name for name, _ in found]
    if len(set(names)) < len(names):
        raise ShapeError(f"members of a union are called the same: {', '.join(names)}")
    return Choice(tuple(found))


def _single(hint: Any, *, within: str = "") -> Single:
    plain = _plain(hint)
    if get_origin(plain) is Literal:
        return _literal(plain)
    if plain in _KNOWN:
        return _KNOWN[plain]
    if plain in SCALARS:
        return _marked(hint, SCALARS[plain])
    if isinstance(plain, type) and issubclass(plain, enum.Enum):
        return Enumeration(plain)
    if is_model(plain) and not _is_dict(plain):
        return Nested(plain)
    raise ShapeError(_refusal(plain, within))


def _marked(hint: Any, scalar: Scalar) -> Scalar:
    for mark in get_args(hint)[1:] if get_origin(hint) is Annotated else ():
        if isinstance(mark, Wire):
            fitting = {int: _INTEGERS, float: _FLOATS}.get(scalar.python, frozenset[str]())
            if mark.type not in fitting:
                raise ShapeError(f"Wire({mark.type!r}) does not fit {scalar.python.__name__}")
            return scalar._replace(wire=mark.type)
    return scalar


def _literal(plain: Any) -> Scalar:
    for kind in (str, int):
        if all(type(value) is kind for value in get_args(plain)):
            return SCALARS[kind]
    raise ShapeError(f"{plain}: values of one Literal are all str, or all int")


def _refusal(plain: Any, within: str) -> str:
    where = f" in {within}" if within else ""
    if within:
        return (
            f"{type_name(plain)}{where}: Protobuf has no list, map or union there, and nothing "
            "that may be None; make a model with one field of it"
        )
    return (
        f"{type_name(plain)}{where} has no counterpart in Protobuf; it has str, bytes, int, float, "
        "bool, enums, models, list, dict[str, X], X | None, unions of models, datetime, timedelta, "
        "date, time, Decimal and UUID"
    )


def _plain(hint: Any) -> Any:
    """Return `hint` without what Annotated adds, and type aliases resolved."""
    while True:
        if get_origin(hint) is Annotated:
            hint = get_args(hint)[0]
        elif hasattr(hint, "__value__"):  # type X = ..., from Python 3.12 on
            hint = hint.__value__
        else:
            return hint


def _is_narrow(hint: Any) -> bool:
    """Return whether constraints (msgspec's Meta) or a Literal are somewhere in `hint`."""
    if get_origin(hint) is Literal or isinstance(hint, Meta):
        return True
    if isinstance(hint, type) and not isinstance(hint, types.GenericAlias):
        return False
    return any(map(_is_narrow, get_args(hint)))


def _is_dict(plain: Any) -> bool:
    return isinstance(plain, type) and issubclass(plain, dict)


def model_name(type_: Any) -> str:
    """Return the name of a model's message: "PageItem" for Page[Item]."""
    name: str = getattr(get_origin(type_) or type_, "__name__", str(type_))
    name = name.partition("[")[0]
    return name + "".join(map(model_name, get_args(type_)))


def snake(name: str) -> str:
    """Return "card_payment" for "CardPayment"."""
    found = list[str]()
    for at, letter in enumerate(name):
        after_small = at > 0 and (name[at - 1].islower() or name[at - 1].isdigit())
        ends_capitals = at > 0 and name[at - 1].isupper() and name[at + 1 : at + 2].islower()
        if letter.isupper() and (after_small or ends_capitals):
            found.append("_")
        found.append(letter.lower())
    return "".join(found)
