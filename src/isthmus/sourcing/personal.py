"""Which fields of an event are a person's data, to be forgotten when they ask."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from types import NoneType
from typing import Annotated, Any, NamedTuple, cast, get_args, get_origin, get_type_hints

import msgspec

from isthmus.errors import ConfigError
from isthmus.schema.kinds import is_model, is_struct, members_of, type_name

__all__ = ["Personal", "PersonalField", "personal_fields"]


@dataclasses.dataclass(frozen=True)
class Personal:
    """Marks a field: `name: Annotated[str, Personal("(forgotten)")]`.

    It is encrypted under the key of a subject: the aggregate's id, or what another field of the
    event, `subject`, says. When the subject's key is deleted it reads as `default`.
    """

    default: Any
    """What it reads as then; of the field's own type."""
    subject: str = ""
    """The field of the event that says whose it is; "" is the aggregate itself."""


class PersonalField(NamedTuple):
    """A marked field, as it is written."""

    path: tuple[str, ...]
    """Its names in JSON, from outside in."""
    default: Any
    """As JSON has it."""
    subject: str


def personal_fields(type_: Any) -> Sequence[PersonalField]:
    """Return the marked fields of an event's type, those of models inside it too.

    Raises:
        ConfigError: One lies inside a list or mapping, or its subject is no field.
    """
    found = list(_walk(type_, (), ()))
    known = _hints(type_).keys()
    for field in found:
        if field.subject and field.subject not in known:
            raise ConfigError(
                f"{type_name(type_)}.{'.'.join(field.path)} is personal data of "
                f"{field.subject!r}, which is no field of {type_name(type_)}; "
                f"it has {', '.join(known)}"
            )
    return found


def _walk(type_: Any, path: tuple[str, ...], seen: tuple[Any, ...]) -> Iterator[PersonalField]:
    if type_ in seen:
        return
    names = _written(type_)
    for name, hint in _hints(type_).items():
        here = (*path, names.get(name, name))
        marks = [each for each in _marks(hint) if isinstance(each, Personal)]
        if marks:
            default = msgspec.to_builtins(marks[0].default)
            yield PersonalField(here, default, marks[0].subject)
            continue
        plain = _plain(hint)
        if is_model(plain):
            yield from _walk(plain, here, (*seen, type_))
        elif _inside(plain):
            raise ConfigError(
                f"{type_name(type_)}.{name} holds personal data inside of it; mark all of it: "
                f"Annotated[{type_name(plain)}, Personal(...)]"
            )


def _inside(hint: Any) -> bool:
    """Whether something marked lies in what a container holds."""
    if any(isinstance(mark, Personal) for mark in _marks(hint)):
        return True
    return any(
        _inside(part) or (is_model(part) and any(_walk(part, (), ()))) for part in get_args(hint)
    )


def _plain(hint: Any) -> Any:
    """Return a hint without Annotated, and without None beside a single type."""
    while get_origin(hint) is Annotated:
        hint = get_args(hint)[0]
    others = [each for each in members_of(hint) if each is not NoneType]
    return others[0] if len(others) == 1 else hint


def _marks(hint: Any) -> Sequence[Any]:
    return get_args(hint)[1:] if get_origin(hint) is Annotated else ()


def _hints(type_: Any) -> Mapping[str, Any]:
    try:
        return get_type_hints(get_origin(type_) or type_, include_extras=True)
    except NameError:
        return {}  # of a class further down its module: what it refers to is not looked into


def _written(type_: Any) -> Mapping[str, str]:
    """Return how fields are called in JSON, where that is not their own name."""
    if is_struct(type_):
        return {each.name: each.encode_name for each in msgspec.structs.fields(type_)}
    fields = cast("dict[str, Any]", getattr(type_, "model_fields", {}))
    return {
        name: field.serialization_alias or field.alias or name for name, field in fields.items()
    }
