"""Whether values survive the way to an older version and back."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol, cast

import msgspec

from isthmus.errors import IsthmusError, SchemaError
from isthmus.schema import schema_of
from isthmus.schema.kinds import type_name
from isthmus.versions.lineages import Lineages
from isthmus.versions.names import Names
from isthmus.versions.past import Past

__all__ = ["Table", "faults"]


class Table(Protocol):
    """What is asked of the version table."""

    names: Names
    lineages: Lineages

    @property
    def read(self) -> Callable[[Any, bytes, str], Any]: ...
    def render(self, value: object, version: str) -> bytes: ...
    def past(self, version: str) -> Past: ...


def faults(table: Table, value: Any, *, except_: Sequence[str]) -> Iterator[str]:
    """Yield what breaks for one value, of a type at HEAD or of one that it `was`."""
    written = table.lineages.written_for(_class(value))
    if written is not None:
        yield from _old(table, value, written, except_)
        return
    for version in table.names.all[1:]:
        yield from _new(table, value, version, except_)


def _new(table: Table, value: Any, version: str, except_: Sequence[str]) -> Iterator[str]:
    """Down to `version`: it is that version's type; and up again: it is the same."""
    type_, past = _class(value), table.past(version)
    of = f"{type_name(type_)} in {version}"
    try:
        body = table.render(value, version)
        if past.is_known(type_):
            schema_of(past(type_)).decode(body)
        again = table.read(type_, body, version)
    except IsthmusError as error:
        yield f"{of}: {_said(error)}"
    else:
        yield from _differences(of, _document(value), _document(again), except_)


def _old(table: Table, value: Any, version: str, except_: Sequence[str]) -> Iterator[str]:
    """Up to HEAD: it is the type of today; and down again: it is the same, but for fields that
    its type does not know."""
    head, was = table.lineages.head(_class(value)), schema_of(_class(value))
    of = f"{type_name(_class(value))} of {version}"
    try:
        newest = table.read(head, was.encode(value), version)
        again = was.decode(table.render(newest, version))
    except IsthmusError as error:
        yield f"{of}: {_said(error)}"
    else:
        yield from _differences(of, _document(value), _document(again), except_)


def _class(value: object) -> Any:
    return type(value)


def _said(error: IsthmusError) -> str:
    problems = error.problems if isinstance(error, SchemaError) else ()
    return "; ".join(problems) or str(error)


def _document(value: Any) -> Any:
    return msgspec.json.decode(schema_of(_class(value)).encode(value))


def _differences(
    of: str, was: Any, now: Any, except_: Sequence[str], at: str = ""
) -> Iterator[str]:
    if at.removeprefix(".") in except_ or was == now:
        return
    parts = _parts(was, now)
    if parts is None:
        where = at.removeprefix(".") or "it"
        yield f"{of}: {where} was {was!r}, and comes back as {now!r}"
        return
    for step, (one, other) in parts.items():
        yield from _differences(of, one, other, except_, f"{at}{step}")


def _parts(was: Any, now: Any) -> Mapping[str, tuple[Any, Any]] | None:
    """Return the parts of two documents side by side; None if they have none in common."""
    if isinstance(was, dict) and isinstance(now, dict):
        one, other = cast("dict[str, Any]", was), cast("dict[str, Any]", now)
        names = dict.fromkeys([*one, *other])
        return {f".{n}": (one.get(n, "nothing"), other.get(n, "nothing")) for n in names}
    if isinstance(was, list) and isinstance(now, list):
        left, right = cast("list[Any]", was), cast("list[Any]", now)
        if len(left) == len(right):
            return {f"[{i}]": pair for i, pair in enumerate(zip(left, right, strict=True))}
    return None
