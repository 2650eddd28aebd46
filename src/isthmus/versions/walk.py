"""Where, in documents of a type, the objects lie that one version changed.

A type is read once, and becomes a function of documents; None where nothing in it
was changed. Outer objects are led up before those inside them, and down after: a
change sees what lies inside in its old form, both ways.
"""

from collections.abc import Iterable, Mapping, Sequence
from types import NoneType
from typing import Any, cast, get_args

from isthmus.errors import ConfigError
from isthmus.schema.kinds import is_model, members_of, type_name
from isthmus.versions.change import Change, Lead
from isthmus.versions.fields import bare, constants, fields_of, parts_of
from isthmus.versions.lineages import Lineages, origin

__all__ = ["Walk"]

_ROWS = (list, set, frozenset, Sequence, Iterable)


class Walk:
    """The step that leads documents up to `version`, or down from it."""

    def __init__(self, lineages: Lineages, version: str, before: str, *, up: bool) -> None:
        """`before`: the version before it, as which documents come, or leave."""
        self._lineages, self._version, self._up = lineages, version, up
        self._given = before if up else version
        self._made: dict[Any, _Later] = {}

    def of(self, type_: Any) -> Lead | None:
        """Return what leads documents of `type_`, as it is at HEAD.

        Raises:
            ConfigError: It is a union whose members cannot be told apart in a document.
        """
        return self._lead(type_) if self._touches(type_, set()) else None

    def _touches(self, type_: Any, seen: set[Any]) -> bool:
        """Return whether a changed object may lie in `type_`."""
        type_ = self._shape(type_)
        if _key(type_) in seen:
            return False
        seen.add(_key(type_))
        if self._changes(type_):
            return True
        return any(self._touches(part, seen) for part in parts_of(type_))

    def _lead(self, type_: Any) -> Lead | None:
        type_ = self._shape(type_)
        if not self._touches(type_, set()):
            return None
        if members := members_of(type_):
            return self._choice([each for each in members if bare(each) is not NoneType])
        if is_model(type_):
            return self._object(type_)
        return self._container(type_)

    def _shape(self, type_: Any) -> Any:
        """Return `type_` as it is at the newer end of this step, which the walk goes by."""
        type_ = bare(type_)
        head = self._lineages.head(type_)
        return type_ if head is None else self._lineages.shape(type_, self._version)

    def _changes(self, type_: Any) -> Sequence[Change]:
        return self._lineages.changes(self._lineages.head(type_), self._version)

    # --- objects ------------------------------------------------------------------------------

    def _object(self, type_: Any) -> Lead:
        if (known := self._made.get(_key(type_))) is not None:
            return known
        later = self._made[_key(type_)] = _Later()
        inside = {
            name: lead
            for name, part in fields_of(type_).items()
            if (lead := self._lead(part)) is not None
        }
        changes = self._changes(type_)
        later.lead = _risen(changes, inside) if self._up else _sunk(changes[::-1], inside)
        return later

    def _container(self, type_: Any) -> Lead:
        arguments = get_args(type_)
        if origin(type_) is tuple and arguments[-1:] != (Ellipsis,):
            return _by_place([self._lead(each) for each in arguments])
        if origin(type_) in _ROWS or origin(type_) is tuple:
            return _each(cast("Lead", self._lead(arguments[0])))
        return _values(cast("Lead", self._lead(arguments[-1])))

    # --- one of several ---------------------------------------------------------------------

    def _choice(self, members: Sequence[Any]) -> Lead:
        rows = [each for each in members if origin(bare(each)) in {*_ROWS, tuple}]
        objects = [each for each in members if each not in rows and _is_object(bare(each))]
        in_rows = [lead for each in rows if (lead := self._lead(each)) is not None]
        if len(rows) > 1 and in_rows:
            raise _ambiguous(members)
        return _by_kind(self._one_object(objects), in_rows[0] if in_rows else None)

    def _one_object(self, members: Sequence[Any]) -> Lead | None:
        leads = [self._lead(each) for each in members]
        if not any(leads):
            return None
        if len(members) == 1:
            return leads[0]
        marks = [self._constants(each) for each in members]
        if sum(not each for each in marks) > 1 or len({*map(str, marks)}) < len(marks):
            raise _ambiguous(members)
        pairs = sorted(zip(marks, leads, strict=True), key=lambda pair: -len(pair[0]))
        return _marked(pairs)

    def _constants(self, type_: Any) -> Mapping[str, Any]:
        type_ = bare(type_)
        known = self._lineages.head(type_) is not None
        return constants(self._lineages.shape(type_, self._given) if known else type_)


class _Later:
    """The lead of a type that is still being read: types refer to themselves."""

    lead: Lead

    def __call__(self, value: Any) -> Any:
        return self.lead(value)


def _key(type_: Any) -> Any:
    """Types compare, mostly: list[Order] is list[Order]."""
    try:
        hash(type_)
    except TypeError:
        return id(type_)
    return type_


def _is_object(type_: Any) -> bool:
    return is_model(type_) or origin(type_) in {dict, Mapping}


def _ambiguous(members: Sequence[Any]) -> ConfigError:
    return ConfigError(
        f"{' | '.join(map(type_name, members))} cannot be told apart in a document, and one of "
        "them changed between versions; give each a tag (msgspec: tag=True), or a Literal field"
    )


# --- leads ------------------------------------------------------------------------------------


def _risen(changes: Sequence[Change], inside: Mapping[str, Lead]) -> Lead:
    def rise(value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        for change in changes:
            value = change.up(value)
        return _led_inside(value, inside)

    return rise


def _sunk(changes: Sequence[Change], inside: Mapping[str, Lead]) -> Lead:
    def sink(value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        value = _led_inside(value, inside)
        for change in changes:
            value = change.down(value)
        return value

    return sink


def _led_inside(value: Any, inside: Mapping[str, Lead]) -> Any:
    for name, lead in inside.items():
        if name in value:
            value[name] = lead(value[name])
    return value


def _each(lead: Lead) -> Lead:
    def led(value: Any) -> Any:
        if not isinstance(value, list):
            return value
        return [lead(each) for each in cast("list[Any]", value)]

    return led


def _values(lead: Lead) -> Lead:
    def led(value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        parts = cast("dict[str, Any]", value)
        return {name: lead(each) for name, each in parts.items()}

    return led


def _by_place(leads: Sequence[Lead | None]) -> Lead:
    def led(value: Any) -> Any:
        if not isinstance(value, list):
            return value
        parts = cast("list[Any]", value)
        some = [lead(part) if lead else part for lead, part in zip(leads, parts, strict=False)]
        return some + parts[len(some) :]

    return led


def _by_kind(in_object: Lead | None, in_rows: Lead | None) -> Lead:
    def led(value: Any) -> Any:
        lead = (in_rows, in_object)[isinstance(value, dict)]
        return value if lead is None else lead(value)

    return led


def _marked(choices: Sequence[tuple[Mapping[str, Any], Lead | None]]) -> Lead:
    def led(value: Any) -> Any:
        if isinstance(value, dict):
            document = cast("dict[str, Any]", value)
            for marks, lead in choices:
                if all(document.get(name) == mark for name, mark in marks.items()):
                    return document if lead is None else lead(document)
        return cast("Any", value)

    return led
