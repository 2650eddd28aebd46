"""Several payload types in one place, told apart by what the message says it is."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any, cast

from isthmus.errors import ConfigError, SchemaError
from isthmus.message import Message
from isthmus.schema.kinds import type_name
from isthmus.schema.named import Label, Schema, described

__all__ = ["UnionSchema"]

_DEFS = "#/$defs/"


class UnionSchema(Schema[Any]):
    """A choice of schemas, as Placed | Cancelled: the message's schema or type name picks one."""

    def __init__(self, type_: Any, members: Sequence[Schema[Any]]) -> None:
        super().__init__(type_)
        self.members = tuple(members)
        self._by_name = {member.name: member for member in members}
        self._by_type = {member.type: member for member in members}
        if len(self._by_name) < len(self.members):
            raise ConfigError(
                f"{self} has two members of one name; "
                "take the newest alone, its upcasters read the older"
            )

    @cached_property
    def datacontenttype(self) -> str:
        return self.members[0].datacontenttype

    def member(self, value: object) -> Schema[Any]:
        for kind in type(value).__mro__:
            if member := self._by_type.get(kind):
                return member
        raise SchemaError(f"expected {type_name(self.type)}, got {described(value)}")

    def encode(self, value: Any) -> bytes:
        return self.member(value).encode_member(value)

    def decode(self, body: bytes, *, dataschema: str = "", type: str = "") -> Any:
        return self.chosen(dataschema=dataschema, type=type).decode(body, dataschema=dataschema)

    def chosen(self, *, dataschema: str, type: str) -> Schema[Any]:
        label = Label.parse(dataschema)
        name = label.name if label else type
        if member := self._by_name.get(name):
            return member
        known = ", ".join(self._by_name)
        raise SchemaError(
            f"a message of type {name!r} is none of {known}; "
            f"add its class to {type_name(self.type)}, or filter it out"
        )

    def read(self, body: bytes) -> Any:
        """Return the value in a body without a name: its tag tells what it is, else it is the
        first member that it fits."""
        if self._tells_apart:
            return super().read(body)
        problems = list[str]()
        for member in self.members:
            try:
                return member.decode(body)
            except SchemaError as error:
                problems += [f"{problem} (as {member})" for problem in error.problems]
        raise SchemaError(f"not a {self}: {'; '.join(problems)}", problems=problems)

    @cached_property
    def _tells_apart(self) -> bool:
        """Whether the model library itself knows the members by what they hold."""
        try:
            _ = self.codec
        except ConfigError:
            return False
        return True

    def decode_all(self, messages: Sequence[Message]) -> list[Any]:
        return [
            self.decode(each.body, dataschema=each.dataschema, type=each.type) for each in messages
        ]

    def json_schema(self) -> dict[str, Any]:
        """Any of the members' schemas; their definitions are kept apart by the members' names."""
        choices, definitions = list[Any](), dict[str, Any]()
        for member in self.members:
            document = _moved(member.json_schema(), f"{_DEFS}{member.name}.")
            for name, definition in document.pop("$defs", {}).items():
                definitions[f"{member.name}.{name}"] = definition
            choices.append(document)
        return {"anyOf": choices, "$defs": definitions}


def _moved(schema: Any, home: str) -> Any:
    """Return `schema` with its references pointing below `home`."""
    if isinstance(schema, dict):
        parts = cast("dict[str, Any]", schema)
        return {name: _moved(part, home) for name, part in parts.items()}
    if isinstance(schema, list):
        return [_moved(part, home) for part in cast("list[Any]", schema)]
    if isinstance(schema, str) and schema.startswith(_DEFS):
        return home + schema.removeprefix(_DEFS)
    return schema
