"""The structure of a service's messages as its classes describe it, without numbers."""

import enum
import inspect
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, get_origin

import msgspec

from isthmus.errors import ConfigError
from isthmus.schema.kinds import is_model, is_struct, type_name
from isthmus.services.rpc.method import Method
from isthmus.services.rpc.wire.plan import Planned, plan_of
from isthmus.services.rpc.wire.scalars import Scalar
from isthmus.services.rpc.wire.shapes import (
    Choice,
    Enumeration,
    Known,
    Listed,
    Mapped,
    Nested,
    Shape,
    model_name,
    snake,
)

__all__ = ["Draft", "DraftEnum", "DraftField", "DraftMessage", "DraftMethod", "value_name"]


class DraftField(NamedTuple):
    name: str
    type: str
    """As in a .proto: "string", "repeated shop.v1.Item", "map<string, int64>"."""
    explicit: bool = False
    """Whether it is `optional`."""
    choice: str = ""
    """The oneof that it is in; "" if it is in none."""


class DraftMessage(NamedTuple):
    name: str
    """With its package."""
    fields: Sequence[DraftField]
    told: str


class DraftEnum(NamedTuple):
    name: str
    values: Sequence[tuple[str, int | None]]
    """Each with the number that the program gives it, if it does."""
    told: str


class DraftMethod(NamedTuple):
    method: Method
    takes: str
    gives: str
    """Names of messages, with their package."""

    @property
    def signature(self) -> str:
        in_streams, out_streams = self.method.kind.value
        takes = f"stream {self.takes}" if in_streams else self.takes
        return f"({takes}) returns ({'stream ' if out_streams else ''}{self.gives})"


class _Unnamed(NamedTuple):
    """The message of a side that says None."""

    method: str
    ending: str


class Draft:
    """Collects what a service's methods need, in the order in which it is met."""

    def __init__(self, service: str, methods: Sequence[Method], *, told: str) -> None:
        """Raises ConfigError if some type cannot be carried, or two are called the same."""
        self.service, self.told = service, told
        self.package = service.rpartition(".")[0]
        self.messages: dict[str, DraftMessage] = {}
        self.enums: dict[str, DraftEnum] = {}
        self.names: dict[Any, str] = {}
        """The message, or enum, of each type."""
        self._owners: dict[str, Any] = {}
        self.methods = [self._method(each) for each in methods]

    def _method(self, method: Method) -> DraftMethod:
        takes = self._side(method, method.takes, "Request")
        return DraftMethod(method, takes, self._side(method, method.gives, "Response"))

    def _side(self, method: Method, type_: Any, ending: str) -> str:
        """Return the message of a request or an answer; nothing is an empty message, which
        may get fields later."""
        if type_ is None:
            name = self._named(f"{method.name}{ending}", _Unnamed(method.attribute, ending))
            self.messages.setdefault(name, DraftMessage(name, (), ""))
            return name
        if not is_model(type_):
            raise ConfigError(
                f"{self.service}, {method.attribute}(): {type_name(type_)} cannot be a message; "
                "use a msgspec.Struct, a dataclass or a pydantic model"
            )
        return self._message(type_)

    def _message(self, type_: Any) -> str:
        if type_ in self.names:
            return self.names[type_]
        name = self.names[type_] = self._named(model_name(type_), type_)
        self.messages[name] = DraftMessage(name, (), "")  # it may contain itself
        fields = [field for planned in plan_of(type_) for field in self._fields(planned)]
        _refuse_twice(name, [field.name for field in fields])
        self.messages[name] = DraftMessage(name, fields, _told(type_))
        return name

    def _fields(self, planned: Planned) -> Iterable[DraftField]:
        name, shape = planned.field.name, planned.shape
        if not isinstance(shape, Choice):
            yield DraftField(name, self._type(shape), explicit=planned.explicit)
            return
        for ending, member in shape.members:
            yield DraftField(f"{name}_{ending}", self._type(member), choice=name)

    def _type(self, shape: Shape) -> str:
        match shape:
            case Scalar():
                return shape.wire
            case Known():
                return shape.name
            case Nested():
                return self._message(shape.type)
            case Enumeration():
                return self._enum(shape.type)
            case Listed():
                return f"repeated {self._type(shape.element)}"
            case Mapped():
                return f"map<{shape.key.wire}, {self._type(shape.value)}>"
            case Choice():
                raise AssertionError("a choice is several fields")

    def _enum(self, type_: type[enum.Enum]) -> str:
        if type_ in self.names:
            return self.names[type_]
        name = self.names[type_] = self._named(type_.__name__, type_)
        own = issubclass(type_, int)
        values = [(value_name(type_, each.name), each.value if own else None) for each in type_]
        if own and any(not 0 <= number < 1 << 31 for _, number in values if number is not None):
            raise ConfigError(f"{type_name(type_)}: numbers of an enum are 0 to 2147483647")
        if all(number != 0 for _, number in values):
            values = [(value_name(type_, "UNSPECIFIED"), 0), *values]
        _refuse_twice(name, [each for each, _ in values])
        self.enums[name] = DraftEnum(name, values, _told(type_))
        return name

    def _named(self, name: str, type_: Any) -> str:
        full = f"{self.package}.{name}"
        owner = self._owners.setdefault(full, type_)
        if owner is not type_ and owner != type_:
            raise ConfigError(
                f"{self.service}: two types would both be the message {full}: {_place(owner)} and "
                f"{_place(type_)}; give one of them another name"
            )
        return full


def value_name(type_: type[enum.Enum], member: str) -> str:
    """Return "COLOR_DARK_RED" for Color.DarkRed."""
    own = snake(member) if not member.isupper() else member
    return f"{snake(type_.__name__)}_{own}".upper()


def _refuse_twice(owner: str, names: Sequence[str]) -> None:
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"{owner} would have {name!r} twice; rename the field")


def _place(type_: Any) -> str:
    if isinstance(type_, _Unnamed):
        return f"what {type_.method}() takes or gives where it says None"
    return f"{type_.__module__}.{type_name(type_)}"


def _told(type_: Any) -> str:
    """Return what its author wrote of it; not what a library made up."""
    origin: Any = get_origin(type_) or type_
    own: dict[str, Any] = origin.__dict__
    text = str(own.get("__doc__") or "")
    made_up = text.startswith(f"{origin.__name__}(")
    if made_up or (is_struct(origin) and origin is msgspec.Struct):
        return ""
    return inspect.cleandoc(text)
