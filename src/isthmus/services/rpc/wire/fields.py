"""The fields of one message, each bound to its descriptor."""

from collections.abc import Callable
from typing import Any, Protocol

import msgspec

from isthmus.services.rpc.wire.elements import Element, MissingError, Value
from isthmus.services.rpc.wire.lines import Lines
from isthmus.services.rpc.wire.plan import Planned
from isthmus.services.rpc.wire.scalars import same

__all__ = [
    "Bound",
    "ChoiceField",
    "ListField",
    "MapField",
    "PartField",
    "Spot",
    "ValueField",
    "checked",
]

BAD = (TypeError, ValueError, OverflowError, MissingError, AttributeError)
"""What writing or reading a value raises that is not what it should be."""


class Spot:
    """What all fields have: where the value is, on both sides."""

    def __init__(self, planned: Planned, name: str) -> None:
        self.attribute, self.key, self.name = planned.field.name, planned.field.key, name
        self.optional, self.absent = planned.optional, planned.absent

    def nothing(self) -> Any:
        """Return the value of a field that is not there."""
        if self.absent is None:
            raise MissingError("missing")
        return self.absent()


class Bound(Protocol):
    """One field of a model, in a message."""

    attribute: str
    key: str

    def put(self, message: Any, value: Any, /) -> None: ...

    def take(self, message: Any, /) -> Any: ...

    def unreadable(self, message: Any, path: str) -> list[str]: ...

    def unwritable(self, message: Any, value: Any, path: str) -> list[str]: ...


class _Simple(Spot):
    """A field whose faults are those of putting and taking it."""

    def put(self, message: Any, value: Any) -> None:
        raise NotImplementedError

    def take(self, message: Any) -> Any:
        raise NotImplementedError

    def unreadable(self, message: Any, path: str) -> list[str]:
        try:
            self.take(message)
        except BAD as error:
            return [f"{path}: {error}"]
        return []

    def unwritable(self, message: Any, value: Any, path: str) -> list[str]:
        try:
            self.put(message, value)
        except BAD as error:
            return [f"{path}: {_why(error, value)}"]
        return []


class ValueField(_Simple):
    """One value; `present`: whether its absence can be told."""

    def __init__(self, planned: Planned, name: str, value: Value, *, present: bool) -> None:
        super().__init__(planned, name)
        self._write, self._read, self._present = value.write, value.read, present

    def lines(self) -> Lines:
        return Lines(self._filled(), self._taken(), {})

    def _filled(self) -> str:
        if self._write is not same:
            return ""
        if not self.optional:
            return f"message.{self.name} = value.{self.attribute}"
        return (
            f"each{{n}} = value.{self.attribute}\n"
            f"if each{{n}} is not None:\n    message.{self.name} = each{{n}}"
        )

    def _taken(self) -> str:
        if self._read is not same:
            return ""
        if not self._present:
            return f"message.{self.name}"
        if not self.optional:
            return ""
        return f"(message.{self.name} if message.HasField({self.name!r}) else None)"

    def put(self, message: Any, value: Any) -> None:
        if value is None and self.optional:
            return
        setattr(message, self.name, self._write(value))

    def take(self, message: Any) -> Any:
        if self._present and not message.HasField(self.name):
            return self.nothing()
        try:
            return self._read(getattr(message, self.name))
        except MissingError:
            return self.nothing()


class PartField(Spot):
    """A message within."""

    def __init__(self, planned: Planned, name: str, part: Any) -> None:
        super().__init__(planned, name)
        self._part = part

    def put(self, message: Any, value: Any) -> None:
        if value is None and self.optional:
            return
        target = getattr(message, self.name)
        target.SetInParent()
        self._part.fill(target, value)

    def take(self, message: Any) -> Any:
        if not message.HasField(self.name):
            return self.nothing()
        return self._part.read(getattr(message, self.name))

    def unreadable(self, message: Any, path: str) -> list[str]:
        if message.HasField(self.name):
            return self._part.unreadable(getattr(message, self.name), path)
        return [f"{path}: missing"] if self.absent is None else []

    def unwritable(self, message: Any, value: Any, path: str) -> list[str]:  # noqa: ARG002
        return [] if value is None and self.optional else self._part.unwritable(value, path)


class ListField(Spot):
    """Several values, in order."""

    def __init__(self, planned: Planned, name: str, element: Element, container: Any) -> None:
        super().__init__(planned, name)
        self._element, self._container = element, container

    def lines(self) -> Lines:
        if isinstance(self._element, Value) or self._container is not list:
            return Lines("", "", {})
        return Lines(
            f"add{{n}} = message.{self.name}.add\n"
            f"for each{{n}} in value.{self.attribute}:\n    part{{n}}.fill(add{{n}}(), each{{n}})",
            f"[part{{n}}.read(each) for each in message.{self.name}]",
            {"part{n}": self._element},
        )

    def put(self, message: Any, value: Any) -> None:
        target, element = getattr(message, self.name), self._element
        if isinstance(element, Value):
            target.extend(map(element.write, value))
            return
        for each in value:
            element.fill(target.add(), each)

    def take(self, message: Any) -> Any:
        return self._container(map(self._element.read, getattr(message, self.name)))

    def unreadable(self, message: Any, path: str) -> list[str]:
        found = list[str]()
        for at, each in enumerate(getattr(message, self.name)):
            found += _unreadable(self._element, each, f"{path}[{at}]")
        return found

    def unwritable(self, message: Any, value: Any, path: str) -> list[str]:
        if isinstance(value, str | bytes) or not hasattr(value, "__iter__"):
            return [f"{path}: expected a list, got {type(value).__name__}"]
        found, element, target = list[str](), self._element, getattr(message, self.name)
        for at, each in enumerate(value):
            if isinstance(element, Value):
                found += _tried(
                    lambda each=each: target.append(element.write(each)), each, path, at
                )
            else:
                found += element.unwritable(each, f"{path}[{at}]")
        return found


class MapField(Spot):
    """Values by key."""

    def __init__(self, planned: Planned, name: str, element: Element) -> None:
        super().__init__(planned, name)
        self._element = element

    def put(self, message: Any, value: Any) -> None:
        target, element = getattr(message, self.name), self._element
        if isinstance(element, Value):
            for key, each in value.items():
                target[key] = element.write(each)
            return
        for key, each in value.items():
            element.fill(target[key], each)

    def take(self, message: Any) -> Any:
        read = self._element.read
        return {key: read(each) for key, each in getattr(message, self.name).items()}

    def unreadable(self, message: Any, path: str) -> list[str]:
        found = list[str]()
        for key, each in getattr(message, self.name).items():
            found += _unreadable(self._element, each, f"{path}[{key!r}]")
        return found

    def unwritable(self, message: Any, value: Any, path: str) -> list[str]:
        if not hasattr(value, "items"):
            return [f"{path}: expected a dict, got {type(value).__name__}"]
        found, element, target = list[str](), self._element, getattr(message, self.name)
        for key, each in value.items():
            if isinstance(element, Value):

                def put(key: Any = key, each: Any = each) -> None:
                    target[key] = element.write(each)

                found += _tried(put, each, path, key)
            else:
                found += element.unwritable(each, f"{path}[{key!r}]")
        return found


class ChoiceField(_Simple):
    """One of several fields, by the type of the value."""

    def __init__(
        self,
        planned: Planned,
        name: str,
        members: "list[tuple[tuple[type, ...], str, Element]]",
    ) -> None:
        """`members`: the classes of each, its field, and how it is written."""
        super().__init__(planned, name)
        self._fields = {field: element for _, field, element in members}
        self._by_class = {
            kind: (field, element) for kinds, field, element in members for kind in kinds
        }

    def put(self, message: Any, value: Any) -> None:
        if value is None and self.optional:
            return
        field, element = self._chosen(value)
        if isinstance(element, Value):
            setattr(message, field, element.write(value))
            return
        target = getattr(message, field)
        target.SetInParent()
        element.fill(target, value)

    def take(self, message: Any) -> Any:
        field = message.WhichOneof(self.name)
        if field is None or field not in self._fields:
            return self.nothing()
        return self._fields[field].read(getattr(message, field))

    def unreadable(self, message: Any, path: str) -> list[str]:
        field = message.WhichOneof(self.name)
        if field is None or field not in self._fields:
            return super().unreadable(message, path)
        return _unreadable(self._fields[field], getattr(message, field), path)

    def unwritable(self, message: Any, value: Any, path: str) -> list[str]:
        try:
            _, element = self._chosen(value)
        except TypeError:
            return super().unwritable(message, value, path)
        if isinstance(element, Value):
            return super().unwritable(message, value, path)
        return element.unwritable(value, path)

    def _chosen(self, value: Any) -> tuple[str, Element]:
        for kind in type(value).__mro__:
            if kind in self._by_class:
                return self._by_class[kind]
        known = ", ".join(kind.__name__ for kind in self._by_class)
        raise TypeError(f"expected one of {known}; got {type(value).__name__}")


def checked(field: Bound, hint: Any) -> Bound:
    """Have what `field` takes checked against its annotation: bounds, patterns, literals."""
    take = field.take

    def taken(message: Any) -> Any:
        value = take(message)
        try:
            return msgspec.convert(value, hint)
        except msgspec.ValidationError as error:
            raise ValueError(str(error)) from error

    unreadable = field.unreadable

    def faults(message: Any, path: str) -> list[str]:
        if found := unreadable(message, path):
            return found
        try:
            taken(message)
        except ValueError as error:
            what, _, where = str(error).partition(" - at `$")
            return [f"{path}{where.rstrip('`')}: {what}"]
        return []

    changed: Any = field
    changed.take, changed.unreadable, changed.lines = taken, faults, _no_lines
    return field


def _no_lines() -> Lines:
    return Lines("", "", {})


def _unreadable(element: Element, wire: Any, path: str) -> list[str]:
    if not isinstance(element, Value):
        return element.unreadable(wire, path)
    try:
        element.read(wire)
    except BAD as error:
        return [f"{path}: {error}"]
    return []


def _tried(put: Callable[[], None], value: Any, path: str, at: Any) -> list[str]:
    try:
        put()
    except BAD as error:
        return [f"{path}[{at!r}]: {_why(error, value)}"]
    return []


def _why(error: Exception, value: Any) -> str:
    if isinstance(error, UnicodeError):
        return "it is no text that UTF-8 can write"
    if isinstance(error, TypeError) and "expected" not in str(error).lower():
        return f"{error} (a {type(value).__name__})"
    return str(error)
