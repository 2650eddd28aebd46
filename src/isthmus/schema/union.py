"""Several payload types in one place, told apart by what the message says it is."""

from collections.abc import Sequence
from typing import Any

from isthmus.errors import ConfigError, SchemaError
from isthmus.schema.codec import type_name
from isthmus.schema.named import Label, Schema

__all__ = ["UnionSchema"]


class UnionSchema(Schema[Any]):
    """A choice of schemas, as Placed | Cancelled: the message's schema or type name picks one."""

    def __init__(self, type_: Any, members: Sequence[Schema[Any]]) -> None:
        super().__init__(type_)
        self.members = tuple(members)
        self._by_name = {member.name: member for member in members}
        self._by_type = {member.type: member for member in members}
        if len(self._by_name) < len(self.members):
            raise ConfigError(
                f"{type_name(type_)} has two members of one name; "
                "take the newest alone, its upcasters read the older"
            )

    def member(self, value: object) -> Schema[Any]:
        for kind in type(value).__mro__:
            if member := self._by_type.get(kind):
                return member
        raise SchemaError(f"sent as {self._names}, got {type(value).__qualname__}: {value!r:.80}")

    def encode(self, value: Any) -> bytes:
        return self.member(value).encode(value)

    def decode(self, body: bytes, *, dataschema: str = "", type: str = "") -> Any:  # noqa: A002
        label = Label.parse(dataschema)
        name = label.name if label else type
        if member := self._by_name.get(name):
            return member.decode(body, dataschema=dataschema)
        raise SchemaError(
            f"type {name!r} is none of {self._names}; was it renamed, or not declared?"
        )

    def json_schema(self) -> dict[str, Any]:
        return {"oneOf": [member.json_schema() for member in self.members]}

    @property
    def datacontenttype(self) -> str:
        return self.members[0].datacontenttype

    @property
    def _names(self) -> str:
        return " | ".join(member.name for member in self.members)
