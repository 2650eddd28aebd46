"""A payload type with a name and a version, and its way to bytes and back."""

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, Generic, NamedTuple, TypeVar, get_args, get_origin, is_typeddict

import msgspec

from isthmus.errors import SchemaError
from isthmus.schema.codec import Codec, codec_of, type_name

__all__ = ["PREFIX", "Schema", "Upcast", "Upcasters"]

PREFIX = "schema:"
"""How the `dataschema` of a registered type begins; others are foreign and not judged."""

T = TypeVar("T")
Upcast = Callable[[dict[str, Any]], dict[str, Any]]


class Step(NamedTuple):
    """An upcaster's place: it leads `version` of `name` to the next."""

    name: str
    version: int


Upcasters = Mapping[Step, Upcast]


class Schema(Generic[T]):
    """One payload type. Made by `schema_of`; cheap to keep, compiled when first used.

    An unregistered type is a schema too: its version is 0, its `dataschema` "", and it
    reads whatever fits it.
    """

    def __init__(
        self, type_: Any, *, name: str = "", version: int = 0, upcasters: Upcasters | None = None
    ) -> None:
        self.type = type_
        self.name = name
        """What a message of it has as its `type`; "" for a plain type, as list[int]."""
        self.version = version
        self.dataschema = f"{PREFIX}{name}/{version}" if version else ""
        self._upcasters = {} if upcasters is None else upcasters
        self._instance = instance_of(type_)

    def __repr__(self) -> str:
        return f"Schema({type_name(self.type)}, {self.dataschema or 'unregistered'})"

    @cached_property
    def codec(self) -> Codec:
        return codec_of(self.type)

    @property
    def datacontenttype(self) -> str:
        """Media type of what `encode` returns: JSON, or octets for bytes."""
        return self.codec.datacontenttype

    def member(self, value: object) -> "Schema[Any]":
        """Return the schema that `value` is sent under: this one, or a union's member.

        Raises:
            SchemaError: `value` is of none of its types.
        """
        if not isinstance(value, self._instance):
            raise SchemaError(f"{self._title} is sent as {self._written}, got {_described(value)}")
        return self

    def encode(self, value: T) -> bytes:
        """Return `value` as bytes. Its class is checked, the values inside it are trusted.

        Raises:
            SchemaError: `value` is of another type, or holds what JSON cannot carry.
        """
        if not isinstance(value, self._instance):
            self.member(value)
        try:
            return self.codec.encode(value)
        except self.codec.errors as error:
            raise SchemaError(f"{self._title} cannot be sent: {error}") from error

    def decode(self, body: bytes, *, dataschema: str = "", type: str = "") -> T:  # noqa: A002, ARG002
        """Return the value in `body`, an older version led to this one by its upcasters.

        Raises:
            SchemaError: The body does not fit (`problems` has every fault), is of another
                name or a newer version, or an upcaster on the way is missing or failed.
        """
        if dataschema and dataschema != self.dataschema and self.dataschema:
            body = self._upcast(body, dataschema)
        try:
            return self.codec.decode(body)
        except self.codec.errors as error:
            problems = self.codec.faults(body, error)
            raise SchemaError(
                f"not a {self._title}: {'; '.join(problems)}", problems=problems
            ) from error

    def json_schema(self) -> dict[str, Any]:
        """Return it as a JSON Schema (2020-12) document of its own."""
        return self.codec.json_schema()

    @property
    def _title(self) -> str:
        return f"{self.name}/{self.version}" if self.version else self._written

    @property
    def _written(self) -> str:
        return type_name(self.type)

    def _upcast(self, body: bytes, dataschema: str) -> bytes:
        label = Label.parse(dataschema)
        if label is None:
            return body
        if label.name != self.name:
            raise SchemaError(f"expected {self._title}, got {label.name}/{label.version}")
        self._refuse_newer(label.version)
        value = _as_object(body, self._title)
        for version in range(label.version, self.version):
            value = self._step(version, value)
        return msgspec.json.encode(value)

    def _refuse_newer(self, version: int) -> None:
        if version > self.version:
            raise SchemaError(
                f"{self.name}/{version} is newer than {self._title}, the newest known here; "
                "deploy the consumers first, the producers after them"
            )

    def _step(self, version: int, value: dict[str, Any]) -> dict[str, Any]:
        upcast = self._upcasters.get(Step(self.name, version))
        if upcast is None:
            raise SchemaError(
                f"nothing leads {self.name}/{version} to {self.name}/{version + 1}; write\n"
                f'@upcaster("{self.name}", version={version})\n'
                "def newer(old: dict) -> dict: ..."
            )
        try:
            return upcast(value)
        except Exception as error:
            raise SchemaError(
                f"the upcaster from {self.name}/{version} failed: {error!r}"
            ) from error


class Label(NamedTuple):
    """What a message says about its payload."""

    name: str
    version: int

    @classmethod
    def parse(cls, dataschema: str) -> "Label | None":
        """Read "schema:shop.order/1"; None for what others write there, mostly a URL."""
        name, _, version = dataschema.removeprefix(PREFIX).rpartition("/")
        if not dataschema.startswith(PREFIX) or not name or not version.isdecimal():
            return None
        return cls(name, int(version))


def instance_of(type_: Any) -> type | tuple[type, ...]:
    """Return what a value of `type_` must be an instance of; object where only its parts tell."""
    origin = get_origin(type_) or type_
    if is_typeddict(origin):
        return dict
    if origin is float:
        return (float, int)
    if isinstance(origin, type) and origin.__module__ != "typing" and not get_args(type_):
        return origin
    return object


def _as_object(body: bytes, title: str) -> dict[str, Any]:
    try:
        return msgspec.json.decode(body, type=dict[str, Any])
    except msgspec.MsgspecError as error:
        raise SchemaError(f"not a {title}: {error}", problems=[f"body: {error}"]) from error


def _described(value: object) -> str:
    text = repr(value)
    return f"{type(value).__qualname__}: {text[:80]}{'...' * (len(text) > 80)}"
