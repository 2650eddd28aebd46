"""What was written becomes a value of the type that is asked for."""

import types
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Union, cast, get_args, get_origin

import msgspec

from isthmus.configuration.address import Url
from isthmus.configuration.field import bare
from isthmus.configuration.secret import MASK, Secret
from isthmus.errors import ConfigError
from isthmus.url import redacted

__all__ = ["as_asked", "converted", "refuse_unless_readable", "shown"]

_LISTS = (list, tuple, set, frozenset)


def converted(value: Any, type_: Any, *, strict: bool = False) -> Any:
    """Return `value` as a `type_`. Of text, a list is what stands between commas, or JSON; what
    has names in it is JSON.

    Raises:
        ValueError: It is none, saying why.
    """
    if isinstance(value, str) and not strict:
        value = _parsed(value, type_)
    try:
        return msgspec.convert(value, type_, strict=strict, dec_hook=_made)
    except msgspec.ValidationError as error:
        raise ValueError(str(error)) from error


def as_asked(value: Any, type_: Any) -> Any:
    """Return a default as a `type_`, if it is text that can be one: "http://..." as a Url."""
    if not isinstance(value, str):
        return value
    try:
        return converted(value, type_, strict=True)
    except ValueError:
        return value


def refuse_unless_readable(type_: Any) -> None:
    """Raises TypeError if nothing can be read as that, as what is asked of it makes no sense."""
    msgspec.json.Decoder(type_, dec_hook=_made)


def shown(value: Any, *, secret: bool = False) -> str:
    """Return how a value may be printed."""
    if secret:
        return "None" if value is None else MASK
    if isinstance(value, Mapping | list | tuple | set | frozenset):
        return redacted(repr(cast("object", value)))
    return repr(redacted(value) if isinstance(value, str) else value)


def _parsed(text: str, type_: Any) -> Any:
    kind = _container(type_)
    if kind is None:
        return text
    if kind is dict or text.lstrip().startswith("["):
        try:
            return msgspec.json.decode(text)
        except msgspec.DecodeError as error:
            raise ValueError(f"expected JSON: {error}") from error
    return [part.strip() for part in text.split(",") if part.strip()]


def _container(type_: Any) -> type | None:
    """Return `list` or `dict` if values of that type are made of several."""
    type_ = bare(type_)
    origin = get_origin(type_) or type_
    if origin in {Union, types.UnionType}:
        members = [_container(each) for each in get_args(type_) if each is not type(None)]
        return members[0] if len(members) == 1 else None
    if origin in _LISTS:
        return list
    structured = isinstance(origin, type) and issubclass(origin, dict | Mapping | msgspec.Struct)
    return dict if structured else None


def _made(kind: type[Any], value: Any) -> Any:
    """Make what msgspec does not know."""
    if issubclass(kind, Secret | Url | Path):
        if isinstance(value, kind):
            return value
        if isinstance(value, str):
            try:
                return kind(value)
            except ConfigError as error:
                raise ValueError(str(error)) from error
        raise TypeError(f"expected text, got {type(value).__name__}")
    raise TypeError(f"a setting can't be a {kind.__name__}")
