"""How the payloads of one place are written, and read in whatever format they say they are."""

from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from typing import Any, Generic, TypeVar

from isthmus.errors import ConfigError
from isthmus.message import Message
from isthmus.schema.carrier import Carrier
from isthmus.schema.formats.choice import Choice, chosen, media_type, readers
from isthmus.schema.formats.format import Format
from isthmus.schema.kinds import is_protobuf
from isthmus.schema.named import Schema
from isthmus.schema.union import UnionSchema

__all__ = ["Wire"]

T = TypeVar("T")

JSON = "application/json"


class Wire(Generic[T]):
    """One place's schema in its formats. The first is written; all that it knows are read."""

    def __init__(self, schema: Schema[T], *, place: str, format: Choice = None) -> None:
        """`place`: the queue's, topic's or stream's name.

        Raises:
            ConfigError: There is no such format, or it cannot carry such a type.
        """
        self.schema, self.place = schema, place
        self._choice: Choice = format
        members = _members(schema)
        self._formats = chosen(format, members[0].type)
        self._first = self._formats[0]
        self._readers = readers(self._formats, members[0].type)
        self._carriers: dict[tuple[int, int], Carrier] = {}
        self.remote = any(each.remote for each in self._formats)
        """Whether `fetch` has to be awaited before messages are read."""
        self.plain = format in (None, "json") and not is_protobuf(members[0].type)
        """Whether the type's own JSON is written, without a word said."""
        self._usual = None if isinstance(schema, UnionSchema) else schema.dataschema
        self._decode: Callable[[bytes], T] = self._compiled
        self.unready = not self._is_prepared()
        """Whether `prepare` has to be awaited before values are written."""
        if not self.plain:
            self._require_carried(members)

    @property
    def format(self) -> str:
        """The name of what is written: "json"."""
        return self._first.name

    @property
    def datacontenttype(self) -> str:
        """The media type of what is written."""
        return self._first.media_types[0] if not self.plain else self.schema.datacontenttype

    def narrowed(self, schema: Schema[Any]) -> "Wire[Any]":
        """Return the same of some of its types."""
        return Wire(schema, place=self.place, format=self._choice)

    # --- writing ----------------------------------------------------------------------------

    def write(self, member: Schema[Any], value: Any) -> tuple[bytes, str]:
        """Return a value as bytes, and their media type. `member`: the value's own schema.

        Raises:
            SchemaError: It holds what the format cannot carry.
        """
        if self.plain:
            return member.encode_member(value), member.datacontenttype
        carrier = self._carrier(self._first, member)
        return member.encode_by(carrier, value), carrier.datacontenttype

    async def prepare(self) -> None:
        """Make known to the registry what will be written.

        Raises:
            UnavailableError: It is out of reach; nothing was sent.
            SchemaError: It refuses the schema.
        """
        for member in _members(self.schema):
            await self._first.prepare(member, place=self.place)
        self.unready = False

    # --- reading ----------------------------------------------------------------------------

    def read(self, message: Message) -> T:
        """Return the value in a message, in the format that it says it has; where it does not
        say, or nothing that is known, in the first one of the place.

        Raises:
            SchemaError: As `Schema.decode`.
            UnavailableError: `fetch` was not awaited.
        """
        schema = self.schema
        if message.datacontenttype == JSON and self.plain:
            if message.dataschema == self._usual:
                try:
                    return self._decode(message.body)
                except Exception:  # noqa: BLE001, S110 - said in our words, below
                    pass
            return schema.decode(message.body, dataschema=message.dataschema, type=message.type)
        found = self._format_of(message)
        member = schema.chosen(dataschema=message.dataschema, type=message.type)
        return member.decode_by(self._carrier(found, member), message.body, message.dataschema)

    def read_all(self, messages: Sequence[Message]) -> list[T]:
        """Return the values in messages; raises as `read` does of the first that has none."""
        if self.plain and all(each.datacontenttype == JSON for each in messages):
            return self.schema.decode_all(messages)
        return [self.read(each) for each in messages]

    async def fetch(self, messages: Sequence[Message]) -> None:
        """Get from a registry what reading `messages` needs, unless it is here.

        Raises:
            UnavailableError: It is out of reach.
            NotFoundError: It has no such schema.
        """
        for message in messages:
            found = self._format_of(message)
            if found.remote:
                await found.fetch(message.body)

    def open(self, stack: AsyncExitStack) -> None:
        """Have what its formats keep open closed with `stack`."""
        for each in self._formats:
            each.open(stack)

    def _compiled(self, body: bytes) -> T:
        self._decode = self.schema.codec.decode
        return self._decode(body)

    def _format_of(self, message: Message) -> Format:
        told = message.datacontenttype
        found = self._readers.get(told) or self._readers.get(media_type(told))
        if found is None or (self.remote and message.body[:1] == b"\0" and told == JSON):
            return self._first  # who knows nothing of content types frames what it writes
        return found

    def _carrier(self, of: Format, member: Schema[Any]) -> Carrier:
        key = (id(of), id(member))
        found = self._carriers.get(key)
        if found is None:
            found = self._carriers[key] = of.codec(member, place=self.place)
        return found

    def _is_prepared(self) -> bool:
        return all(
            self._first.is_prepared(member, place=self.place) for member in _members(self.schema)
        )

    def _require_carried(self, members: Sequence[Schema[Any]]) -> None:
        for each in self._formats:
            for member in members:
                try:
                    self._carrier(each, member)
                except NameError as error:
                    raise ConfigError(
                        f"{member} refers to {error.name!r}, which its module does not know yet; "
                        "define it above"
                    ) from error


def _members(schema: Schema[Any]) -> Sequence[Schema[Any]]:
    return schema.members if isinstance(schema, UnionSchema) else (schema,)
