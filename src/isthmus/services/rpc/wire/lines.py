"""The fields of a model as lines of one function: half of what is left of a message's cost is
calling the functions of its fields.

A field that has lines of its own gives them; for any other its functions are called. Both are
tested to do the same.
"""

import keyword
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol, runtime_checkable

__all__ = ["Lined", "Lines", "filling", "reading"]


class Lines(NamedTuple):
    """How a field is written and read. {n} stands for what makes its names its own."""

    fill: str
    """Statements, over `message` and `value`; "" calls the field's `put`."""
    read: str
    """An expression, over `message`; "" calls its `take`."""
    names: dict[str, Any]
    """What they refer to, by names that end in {n}."""


@runtime_checkable
class Lined(Protocol):
    """A field that has lines of its own."""

    def lines(self) -> Lines: ...


class _Field(Protocol):
    @property
    def attribute(self) -> str: ...

    @property
    def key(self) -> str: ...

    def put(self, message: Any, value: Any, /) -> None: ...

    def take(self, message: Any, /) -> Any: ...


def filling(fields: Sequence[_Field]) -> Callable[[Any, Any], None]:
    """Return what writes the fields of a model into a message."""
    names, body = dict[str, Any](), list[str]()
    for number, field in enumerate(fields):
        lines = _lines(field)
        if lines.fill:
            body += _numbered(lines.fill, number).splitlines()
            names |= {_numbered(name, number): each for name, each in lines.names.items()}
        else:
            names[f"put{number}"] = field.put
            body.append(f"put{number}(message, {_of_value(field)})")
    return _function("fill(message, value)", body or ["pass"], names)


def reading(made: Any, fields: Sequence[_Field], *, by_place: bool) -> Callable[[Any], Any]:
    """Return what makes a model of a message; `by_place`: its constructor takes all fields in
    their order."""
    names, arguments = {"made": made}, list[str]()
    for number, field in enumerate(fields):
        lines = _lines(field)
        if lines.read:
            argument = _numbered(lines.read, number)
            names |= {_numbered(name, number): each for name, each in lines.names.items()}
        else:
            names[f"take{number}"] = field.take
            argument = f"take{number}(message)"
        arguments.append(argument if by_place else f"{field.key!r}: {argument}")
    listed = ", ".join(arguments)
    made_of = listed if by_place else f"**{{{listed}}}"
    return _function("read(message)", [f"return made({made_of})"], names)


def _lines(field: _Field) -> Lines:
    if isinstance(field, Lined) and _is_plain(field.attribute):
        return field.lines()
    return Lines("", "", {})


def _is_plain(name: str) -> bool:
    return name.isidentifier() and not keyword.iskeyword(name)


def _of_value(field: _Field) -> str:
    if _is_plain(field.attribute):
        return f"value.{field.attribute}"
    return f"getattr(value, {field.attribute!r})"


def _numbered(text: str, number: int) -> str:
    return text.replace("{n}", str(number))


def _function(head: str, body: Sequence[str], names: dict[str, Any]) -> Any:
    lines = [f"def {head}:", *(f"    {line}" for line in body)]
    space = dict(names)
    exec("\n".join(lines), space)  # noqa: S102 - lines of our own, over names of the model
    return space[head.partition("(")[0]]
