"""The types of an older version: what validates its requests, and what its document shows."""

import dataclasses
import typing
from collections.abc import Callable, Mapping
from typing import Annotated, Any, TypedDict, Union, get_args, get_origin, is_typeddict

import msgspec

from isthmus.schema.kinds import is_model, is_struct, members_of
from isthmus.versions.fields import bare, fields_of, parts_of
from isthmus.versions.lineages import Lineages, origin
from isthmus.versions.names import Names

__all__ = ["Past"]


class Past:
    """Types as they were at `version`.

    A changed type is the `was` that a later change gives. One that has such a type
    inside becomes a new class of the same name and kind, with the same fields but
    for those, and none of its methods and validators: they know today's fields.
    Where a type has itself inside, the inner one is Any.
    """

    def __init__(self, lineages: Lineages, names: Names, version: str) -> None:
        self._lineages, self._names, self._version = lineages, names, version
        self._made: dict[Any, Any] = {}
        self._making: set[Any] = set()

    def __call__(self, type_: Any) -> Any:
        """Return `type_` as it was; itself if nothing in it changed since."""
        if not self._differs(type_, set()):
            return type_
        if type_ not in self._made:
            if type_ in self._making:
                return Any
            self._making.add(type_)
            self._made[type_] = self._remade(type_)
            self._making.discard(type_)
        return self._made[type_]

    def is_known(self, type_: Any) -> bool:
        """Return whether requests of this version are known to fit what a call returns."""
        return self._is_known(type_, set())

    def differs(self, type_: Any) -> bool:
        """Return whether `type_` was another then, as far as is known."""
        return self._differs(type_, set())

    def _is_known(self, type_: Any, seen: set[Any]) -> bool:
        type_ = bare(type_)
        if type_ in seen:
            return True
        seen.add(type_)
        if self._lineages.head(type_) is not None:
            if not self._lineages.is_known(type_, self._version):
                return False
            type_ = self._lineages.shape(type_, self._version)
        return all(self._is_known(part, seen) for part in parts_of(type_))

    def _differs(self, type_: Any, seen: set[Any]) -> bool:
        type_ = bare(type_)
        if type_ in seen:
            return False
        seen.add(type_)
        if self._lineages.head(type_) is not None:
            shape = self._lineages.shape(type_, self._version)
            if shape != type_:
                return True
        return any(self._differs(part, seen) for part in parts_of(type_))

    def _remade(self, type_: Any) -> Any:
        if get_origin(type_) is Annotated:
            inner, *marks = get_args(type_)
            return Annotated[(self(inner), *marks)]
        if bare(type_) is not type_:
            return self(bare(type_))
        if members := members_of(type_):
            return Union[tuple(map(self, members))]  # noqa: UP007 - made at run time
        if self._lineages.head(type_) is not None:
            shape = self._lineages.shape(type_, self._version)
            if shape != type_:
                return self(shape)
        if is_model(type_):
            return _model(type_, self)
        return _container(type_, [self(part) for part in get_args(type_)])


_Then = Callable[[Any], Any]


def _container(type_: Any, parts: list[Any]) -> Any:
    """Return list[Order], or Page[Order], with other arguments."""
    return origin(type_)[tuple(parts)]


def _model(type_: Any, then: _Then) -> Any:
    """Return a class as `type_`, its fields as `then` has them."""
    cls = origin(type_)
    if is_struct(cls):
        return _struct(type_, cls, then)
    if hasattr(cls, "model_fields"):
        return _pydantic(cls, then)
    if is_typeddict(cls):
        return _typed_dict(type_, cls, then)
    return _dataclass(type_, cls, then)


def _struct(type_: Any, cls: Any, then: _Then) -> Any:
    config = cls.__struct_config__
    return msgspec.defstruct(
        cls.__name__,
        [_struct_field(field, then) for field in msgspec.structs.fields(type_)],
        module=cls.__module__,
        namespace={"__doc__": cls.__doc__},
        tag=config.tag,
        tag_field=config.tag_field,
        forbid_unknown_fields=config.forbid_unknown_fields,
        omit_defaults=config.omit_defaults,
        array_like=config.array_like,
        kw_only=not config.array_like,
    )


def _struct_field(field: msgspec.structs.FieldInfo, then: _Then) -> tuple[str, Any, Any]:
    make: Any = msgspec.field  # its overloads know no NODEFAULT
    made = make(
        default=field.default, default_factory=field.default_factory, name=field.encode_name
    )
    return field.name, then(field.type), made


def _dataclass(type_: Any, cls: Any, then: _Then) -> Any:
    hints = fields_of(type_)
    made = [(each.name, then(hints[each.name]), _copied(each)) for each in dataclasses.fields(cls)]
    return dataclasses.make_dataclass(cls.__name__, made, kw_only=True)


def _copied(field: dataclasses.Field[Any]) -> Any:
    if field.default is not dataclasses.MISSING:
        return dataclasses.field(default=field.default, init=field.init)
    if field.default_factory is not dataclasses.MISSING:
        return dataclasses.field(default_factory=field.default_factory, init=field.init)
    return dataclasses.field(init=field.init)


def _typed_dict(type_: Any, cls: Any, then: _Then) -> Any:
    hints: Mapping[str, Any] = fields_of(type_)
    required: frozenset[str] = cls.__required_keys__
    made = {
        name: typing.Required[then(bare(hint))]
        if name in required
        else typing.NotRequired[then(bare(hint))]
        for name, hint in hints.items()
    }
    return TypedDict(cls.__name__, made)  # pyright: ignore[reportArgumentType]


def _pydantic(cls: Any, then: _Then) -> Any:
    import copy

    from pydantic import create_model

    made: dict[str, Any] = {}
    for name, info in cls.model_fields.items():
        made[name] = (then(info.annotation), copy.copy(info))
    return create_model(
        cls.__name__, __config__=cls.model_config, __module__=cls.__module__, **made
    )
