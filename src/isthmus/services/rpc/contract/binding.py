"""Models bound to the descriptors of messages, field by field, by name."""

from collections.abc import Sequence
from typing import Any

from google.protobuf import message_factory
from google.protobuf.descriptor import FieldDescriptor

from isthmus.errors import ConfigError
from isthmus.schema.kinds import instance_of, type_name
from isthmus.services.rpc.contract.draft import value_name
from isthmus.services.rpc.wire.converter import Converter
from isthmus.services.rpc.wire.elements import Element, known_part, scalar_value, symbols
from isthmus.services.rpc.wire.fields import (
    Bound,
    ChoiceField,
    ListField,
    MapField,
    PartField,
    ValueField,
    checked,
)
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
)

__all__ = ["Binding"]

_F = FieldDescriptor
_FITTING = {
    bool: {_F.TYPE_BOOL},
    bytes: {_F.TYPE_BYTES},
    float: {_F.TYPE_DOUBLE, _F.TYPE_FLOAT},
    int: {
        _F.TYPE_INT32, _F.TYPE_INT64, _F.TYPE_UINT32, _F.TYPE_UINT64, _F.TYPE_SINT32,
        _F.TYPE_SINT64, _F.TYPE_FIXED32, _F.TYPE_FIXED64, _F.TYPE_SFIXED32, _F.TYPE_SFIXED64,
    },
}  # fmt: skip
_TEXT = {_F.TYPE_STRING}
_NAMES: dict[int, str] = {
    getattr(_F, name): name.removeprefix("TYPE_").lower() for name in dir(_F) if name[:5] == "TYPE_"
}


class _Misfit(Exception):  # noqa: N818 - told to nobody, collected
    pass


class Binding:
    """Converters of one pool; what does not fit is collected in `faults`."""

    def __init__(self) -> None:
        self.faults = list[str]()
        self._made: dict[tuple[Any, str], Converter] = {}

    def converter(self, type_: Any, descriptor: Any) -> Converter:
        key = (type_, descriptor.full_name)
        if key not in self._made:
            made = Converter(type_, message_factory.GetMessageClass(descriptor))
            self._made[key] = made
            made.give(self._fields(type_, descriptor))
        return self._made[key]

    def refuse_faults(self, title: str) -> None:
        """Raises ConfigError if models and messages do not fit; every fault is told."""
        if self.faults:
            listed = "\n".join(f"  {fault}" for fault in dict.fromkeys(self.faults))
            raise ConfigError(f"{title}: models and messages do not fit:\n{listed}")

    def _fields(self, type_: Any, descriptor: Any) -> Sequence[Bound]:
        found = list[Bound]()
        for planned in plan_of(type_):
            try:
                bound = self._field(planned, descriptor)
            except _Misfit as error:
                self.faults.append(f"{type_name(type_)}.{planned.field.name}: {error}")
                continue
            found.append(bound if planned.narrow is None else checked(bound, planned.narrow))
        return found

    def _field(self, planned: Planned, descriptor: Any) -> Bound:
        name, shape = planned.field.name, planned.shape
        if isinstance(shape, Choice):
            return self._choice(planned, shape, descriptor)
        field = descriptor.fields_by_name.get(name)
        if field is None:
            known = ", ".join(descriptor.fields_by_name) or "none"
            raise _Misfit(f"{descriptor.full_name} has no such field; it has: {known}")
        if isinstance(shape, Mapped):
            if not _is_map(field):
                raise _Misfit(f"a dict, where the message has {_said(field)}")
            value = field.message_type.fields_by_name["value"]
            return MapField(planned, name, self._element(shape.value, value))
        if isinstance(shape, Listed):
            if not _is_repeated(field) or _is_map(field):
                raise _Misfit(f"a list, where the message has {_said(field)}")
            return ListField(planned, name, self._element(shape.element, field), shape.container)
        if _is_repeated(field):
            raise _Misfit(f"a {_shape_said(shape)}, where the message has {_said(field)}")
        element = self._element(shape, field)
        if isinstance(shape, Scalar | Enumeration):
            value: Any = element
            return ValueField(planned, name, value, present=field.has_presence)
        return PartField(planned, name, element)

    def _choice(self, planned: Planned, shape: Choice, descriptor: Any) -> Bound:
        name = planned.field.name
        oneof = descriptor.oneofs_by_name.get(name)
        if oneof is None:
            raise _Misfit(f"a union, and {descriptor.full_name} has no oneof of that name")
        members = list[tuple[tuple[type, ...], str, Element]]()
        for ending, member in shape.members:
            field = _member_of(oneof, name, ending, member)
            if field is None:
                known = ", ".join(each.name for each in oneof.fields)
                raise _Misfit(f"no member of the oneof fits {_shape_said(member)}: {known}")
            members.append((_classes(member), field.name, self._element(member, field)))
        return ChoiceField(planned, name, members)

    def _element(self, shape: Shape, field: Any) -> Element:
        match shape:
            case Scalar():
                if field.type not in _FITTING.get(shape.python, _TEXT):
                    raise _Misfit(
                        f"a {shape.python.__name__}, where the message has {_said(field)}"
                    )
                return scalar_value(shape)
            case Enumeration():
                return self._symbols(shape, field)
            case Known():
                if field.message_type is None or field.message_type.full_name != shape.name:
                    raise _Misfit(
                        f"a {shape.python.__name__}, where the message has {_said(field)}"
                    )
                return known_part(shape, message_factory.GetMessageClass(field.message_type))
            case Nested():
                if field.message_type is None:
                    raise _Misfit(
                        f"a {type_name(shape.type)}, where the message has {_said(field)}"
                    )
                return self.converter(shape.type, field.message_type)
            case _:
                raise AssertionError(shape)

    def _symbols(self, shape: Enumeration, field: Any) -> Element:
        if field.enum_type is None:
            raise _Misfit(f"a {shape.type.__name__}, where the message has {_said(field)}")
        known = {each.name: each.number for each in field.enum_type.values}
        numbers, missing = dict[str, int](), list[str]()
        for member in shape.type:
            for name in (value_name(shape.type, member.name), member.name):
                if name in known:
                    numbers[member.name] = known[name]
                    break
            else:
                missing.append(member.name)
        if missing:
            raise _Misfit(f"{field.enum_type.full_name} has no {', '.join(missing)}")
        return symbols(shape.type, numbers)


def _member_of(oneof: Any, name: str, ending: str, member: Shape) -> Any:
    by_name = {each.name: each for each in oneof.fields}
    for wanted in (f"{name}_{ending}", ending):
        if wanted in by_name:
            return by_name[wanted]
    fitting = [each for each in oneof.fields if _is_of(each, member)]
    return fitting[0] if len(fitting) == 1 else None


def _is_of(field: Any, member: Shape) -> bool:
    """Return whether the field of a oneof is meant, by its type alone, for `member`."""
    match member:
        case Scalar():
            return field.type in _FITTING.get(member.python, _TEXT)
        case Nested():
            return getattr(field.message_type, "name", "") == model_name(member.type)
        case Known():
            return getattr(field.message_type, "full_name", "") == member.name
        case _:
            return False


def _classes(shape: Shape) -> tuple[type, ...]:
    match shape:
        case Scalar():
            return (shape.python,)
        case Known():
            return (shape.python,)
        case Nested():
            return instance_of(shape.type)
        case _:
            raise AssertionError(shape)


def _is_repeated(field: Any) -> bool:
    told = getattr(field, "is_repeated", None)
    return field.label == _F.LABEL_REPEATED if told is None else told


def _is_map(field: Any) -> bool:
    return field.message_type is not None and field.message_type.GetOptions().map_entry


def _said(field: Any) -> str:
    kind = field.message_type or field.enum_type
    name = _NAMES[field.type] if kind is None else kind.full_name
    return f"repeated {name}" if _is_repeated(field) else name


def _shape_said(shape: Shape) -> str:
    match shape:
        case Scalar() | Known():
            return shape.python.__name__
        case Nested() | Enumeration():
            return type_name(shape.type)
        case _:
            return "value"
