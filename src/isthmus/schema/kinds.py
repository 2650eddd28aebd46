"""What kind of type a payload type is: which library carries it, what its values are."""

import dataclasses
from collections.abc import Mapping
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin, is_typeddict

import msgspec

__all__ = [
    "instance_of",
    "is_model",
    "is_protobuf",
    "is_pydantic",
    "is_struct",
    "members_of",
    "own_name",
    "type_name",
]

_CONTAINERS = {
    list: (list, tuple, set, frozenset),
    tuple: (list, tuple),
    set: (set, frozenset),
    frozenset: (set, frozenset),
    dict: (Mapping,),
    float: (float, int),
}


def is_struct(type_: Any) -> bool:
    """Return whether `type_` is a msgspec.Struct, or a generic one of some type."""
    origin: Any = get_origin(type_) or type_
    return isinstance(origin, type) and issubclass(origin, msgspec.Struct)


def is_pydantic(type_: Any) -> bool:
    """Return whether pydantic carries `type_`: it marks its classes, so nobody need import it."""
    return hasattr(type_, "__pydantic_validator__") or any(map(is_pydantic, get_args(type_)))


def is_protobuf(type_: Any) -> bool:
    """Return whether `type_` is a class that protoc generated; nobody need import protobuf."""
    return hasattr(type_, "DESCRIPTOR") and hasattr(type_, "SerializeToString")


def own_name(type_: Any) -> str:
    """Return the name that a class has by itself; "" if its name means nothing."""
    if is_protobuf(type_):
        return type_.DESCRIPTOR.full_name
    return type_name(type_) if is_model(type_) else ""


def is_model(type_: Any) -> bool:
    """Return whether `type_` is a class with fields, whose name means something."""
    origin: Any = get_origin(type_) or type_
    return (
        is_struct(origin)
        or is_typeddict(origin)
        or dataclasses.is_dataclass(origin)
        or hasattr(origin, "__pydantic_validator__")
        or is_protobuf(origin)
    )


def members_of(type_: Any) -> tuple[Any, ...]:
    """Return the types in a union, without Annotated around it; none if it is not a union."""
    if get_origin(type_) is Annotated:
        return members_of(get_args(type_)[0])
    return get_args(type_) if get_origin(type_) in {Union, UnionType} else ()


def type_name(type_: Any) -> str:
    """Return how a person would write `type_`."""
    if members := members_of(type_):
        return " | ".join(map(type_name, members))
    if get_origin(type_) is None:
        return "None" if type_ is NoneType else getattr(type_, "__name__", repr(type_))
    arguments = ", ".join(map(type_name, get_args(type_)))
    return f"{type_name(get_origin(type_))}[{arguments}]"


def instance_of(type_: Any) -> tuple[type, ...]:
    """Return the classes a value of `type_` is an instance of; `object` where parts decide.

    It is what can be told without looking inside a value, which is what a send may cost.
    """
    if get_origin(type_) is Annotated:
        return instance_of(get_args(type_)[0])
    if members := members_of(type_):
        return tuple(kind for member in members for kind in instance_of(member))
    origin: Any = dict if is_typeddict(type_) else get_origin(type_) or type_
    if not isinstance(origin, type) or origin is Any:
        return (object,)
    return _CONTAINERS.get(origin, (origin,))
