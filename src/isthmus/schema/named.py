"""A payload type with a name and a version, and its way to bytes and back."""

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any, Generic, NamedTuple, TypeVar

import msgspec

from isthmus.errors import IsthmusError, SchemaError
from isthmus.message import Message
from isthmus.schema.carrier import Carrier
from isthmus.schema.codec import Codec, codec_of
from isthmus.schema.faults import faults_in, pydantic_faults
from isthmus.schema.kinds import instance_of, is_pydantic, type_name
from isthmus.schema.whole import in_whole_numbers

__all__ = ["PREFIX", "Label", "Schema", "Upcast", "Upcasters"]

PREFIX = "schema:"
"""How the `dataschema` of a registered type begins; others are foreign and not judged."""

T = TypeVar("T")
Upcast = Callable[[dict[str, Any]], dict[str, Any]]


class Label(NamedTuple):
    """The name and version of a payload, as a message carries them."""

    name: str
    version: int

    def __str__(self) -> str:
        return f"{self.name}/{self.version}"

    @classmethod
    def parse(cls, dataschema: str) -> "Label | None":
        """Read "schema:shop.order/1"; None for what others write there, mostly a URL."""
        name, _, version = dataschema.removeprefix(PREFIX).rpartition("/")
        if not dataschema.startswith(PREFIX) or not name or not version.isdecimal():
            return None
        return cls(name, int(version))


Upcasters = Mapping[Label, Upcast]
"""What leads each old version to the next one."""


class Schema(Generic[T]):
    """One payload type. Made by `schema_of`; compiled once, when first needed.

    An unregistered type is a schema too: its version is 0, its `dataschema` "", and it reads
    whatever fits it. Versions are of the whole payload: in a list[Order], Order has none.
    """

    def __init__(
        self, type_: Any, *, name: str = "", version: int = 0, upcasters: Upcasters | None = None
    ) -> None:
        self.type = type_
        self.name = name
        """What its messages have as their `type`; "" for a plain type, as list[int]."""
        self.version = version
        self.dataschema = f"{PREFIX}{name}/{version}" if version else ""
        self._upcasters: Upcasters = {} if upcasters is None else upcasters
        self._instance = instance_of(type_)

    def __repr__(self) -> str:
        return f"Schema({type_name(self.type)}, {self.dataschema or 'unregistered'})"

    def __str__(self) -> str:
        if self.version:
            return str(Label(self.name, self.version))
        return self.name or type_name(self.type)

    @cached_property
    def codec(self) -> Codec:
        return codec_of(self.type)

    @cached_property
    def datacontenttype(self) -> str:
        """Media type of what `encode` returns: JSON, or octets for bytes."""
        return self.codec.datacontenttype

    def member(self, value: object) -> "Schema[Any]":
        """Return the schema that `value` is sent under: this one, or the union's member.

        Raises:
            SchemaError: `value` is of none of its types.
        """
        if isinstance(value, self._instance):
            return self
        label = f" for {self}" if self.version else ""
        raise SchemaError(f"expected {type_name(self.type)}{label}, got {described(value)}")

    def encode(self, value: T) -> bytes:
        """Return `value` as bytes. Its class is checked, the values inside it are trusted.

        Raises:
            SchemaError: `value` is of another type, or holds what JSON cannot carry.
        """
        self.member(value)
        return self.encode_member(value)

    def encode_member(self, value: T) -> bytes:
        """Like `encode`, of a value whose `member` this schema was found to be."""
        try:
            return self.codec.encode(value)
        except Exception as error:
            raise SchemaError(f"{self} cannot be sent: {error}") from error

    def encode_by(self, codec: Carrier, value: T) -> bytes:
        """The same in the format of `codec`; what a registry has to say comes through."""
        try:
            return codec.encode(value)
        except IsthmusError:
            raise
        except Exception as error:
            raise SchemaError(f"{self} cannot be sent: {error}") from error

    def decode(self, body: bytes, *, dataschema: str = "", type: str = "") -> T:  # noqa: ARG002
        """Return the value in `body`, led to this version by upcasters if it is of an older one.

        A body without a `dataschema`, or with a foreign one, is taken for this version;
        `type` picks the member of a union.

        Raises:
            SchemaError: The body does not fit (`problems` has every fault), is of another
                name or a newer version, or an upcaster on the way is missing or failed.
        """
        return self.decode_by(self.codec, body, dataschema)

    def decode_by(self, codec: Carrier, body: bytes, dataschema: str) -> T:
        """Like `decode`, of a body in the format of `codec`."""
        if dataschema != self.dataschema and dataschema and self.version:
            label = Label.parse(dataschema)
            if label is not None and label != (self.name, self.version):
                return self._upcast(codec, body, label)
        try:
            return codec.decode(body)
        except IsthmusError:
            raise
        except Exception as error:  # noqa: BLE001  of the model library: said in our words, below
            return self._decoded_again(codec, body, error)

    def read(self, body: bytes) -> T:
        """Return the value in a body that comes without attributes, as that of a request.

        Raises:
            SchemaError: The body does not fit; `problems` has every fault.
        """
        return self.decode_by(self.codec, body, "")

    def _decoded_again(self, codec: Carrier, body: bytes, error: Exception) -> T:
        """Read a body that was refused, as some libraries refuse 2.0 where an integer is wanted."""
        mended = in_whole_numbers(body) if codec is self.codec else body
        if mended != body:
            try:
                return codec.decode(mended)
            except Exception as left:  # noqa: BLE001  likewise
                body, error = mended, left
        problems = codec.faults(body, error)
        raise SchemaError(f"not a {self}: {'; '.join(problems)}", problems=problems) from error

    def chosen(self, *, dataschema: str, type: str) -> "Schema[Any]":  # noqa: ARG002
        """Return the schema that reads such a message: this one, or the union's member.

        Raises:
            SchemaError: None of its types does.
        """
        return self

    def decode_all(self, messages: Sequence[Message]) -> list[T]:
        """Return the values in their bodies; raises SchemaError as `decode` of the first
        that is none."""
        ours, decode = self.dataschema, self.codec.decode
        try:
            return [
                decode(each.body)
                if each.dataschema == ours
                else self.decode(each.body, dataschema=each.dataschema, type=each.type)
                for each in messages
            ]
        except SchemaError:
            raise
        except Exception:  # noqa: BLE001  of the model library: said in our words, below
            return [
                self.decode(each.body, dataschema=each.dataschema, type=each.type)
                for each in messages
            ]

    def json_schema(self) -> dict[str, Any]:
        """Return it as a JSON Schema (2020-12) document of its own."""
        return self.codec.json_schema()

    def _upcast(self, codec: Carrier, body: bytes, label: Label) -> T:
        self._refuse_unreadable(label)
        value = _object_in(codec, body, label)
        for version in range(label.version, self.version):
            value = self._step(Label(self.name, version), value)
        try:
            return codec.build(value)
        except TypeError as error:
            raise SchemaError(f"the upcasters of {label} return no JSON: {error}") from error
        except Exception as error:
            problems = _faults_built(self.type, value, error)
            raise SchemaError(f"not a {self}: {'; '.join(problems)}", problems=problems) from error

    def _refuse_unreadable(self, label: Label) -> None:
        if label.name != self.name:
            raise SchemaError(f"expected {self}, got {label}")
        if label.version > self.version:
            raise SchemaError(
                f"{label} is newer than {self}, which is what this program reads; "
                "deploy the consumers first, the producers after them"
            )

    def _step(self, label: Label, value: dict[str, Any]) -> dict[str, Any]:
        upcast = self._upcasters.get(label)
        if upcast is None:
            raise SchemaError(
                f"nothing leads {label} to version {label.version + 1}; write\n"
                f'@upcaster("{label.name}", version={label.version})\n'
                "def newer(old: dict) -> dict: ..."
            )
        try:
            return upcast(value)
        except Exception as error:
            raise SchemaError(f"the upcaster of {label} failed: {error!r}") from error


def described(value: object) -> str:
    """Return the class of `value` and the beginning of how it reads, for an error."""
    text = repr(value)
    return f"{type(value).__qualname__}: {text[:80]}{'...' * (len(text) > 80)}"


def _object_in(codec: Carrier, body: bytes, label: Label) -> dict[str, Any]:
    try:
        return msgspec.convert(codec.load(body), dict[str, Any])
    except IsthmusError:
        raise
    except Exception as error:
        raise SchemaError(f"not a {label}: {error}", problems=[f"body: {error}"]) from error


def _faults_built(type_: Any, value: dict[str, Any], error: Exception) -> list[str]:
    return pydantic_faults(error) if is_pydantic(type_) else faults_in(type_, value, error)
