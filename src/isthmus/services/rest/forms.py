"""Bodies that come from an HTML form, urlencoded or multipart.

Source: WHATWG URL, section 5 (urlencoded); RFC 7578 (multipart/form-data).
"""

import dataclasses
import typing
from collections.abc import Mapping, Sequence
from email.message import Message
from email.parser import BytesParser
from email.policy import HTTP
from typing import Any, NamedTuple, get_origin
from urllib.parse import parse_qsl

import msgspec

from isthmus.errors import ConfigError, SchemaError
from isthmus.handling.calling.signature import NOTHING
from isthmus.schema import Schema
from isthmus.schema.faults import pydantic_faults
from isthmus.schema.kinds import is_model, is_pydantic, is_struct, type_name
from isthmus.services.problem import Problem
from isthmus.services.rest.call import RequestCall
from isthmus.services.rest.formats import Format
from isthmus.services.rest.text import SEVERAL, bare

__all__ = ["FormPayload", "Upload", "form_payload"]

URLENCODED, MULTIPART = "application/x-www-form-urlencoded", "multipart/form-data"
MOST = 1000
"""Fields of a form, at most."""

Fields = list[tuple[str, Any]]


@dataclasses.dataclass(frozen=True)
class Upload:
    """A file in a form: `image: Upload` in the form's model."""

    filename: str
    """What the client calls it; never a path to write to."""
    content_type: str
    """What the client says that it is."""
    content: bytes


class FormPayload(NamedTuple):
    """The parameter whose fields are those of a form."""

    name: str
    schema: Schema[Any]
    default: Any
    several: frozenset[str]
    """Fields that may come more than once."""

    @property
    def required(self) -> bool:
        return self.default is NOTHING

    @property
    def raw(self) -> bool:
        """Its media type is none of the route's formats."""
        return True

    def read(self, body: bytes, _: Format, call: RequestCall) -> Any:
        """Return the model.

        Raises:
            SchemaError: It does not fit.
            Problem: 415, the body is no form; 400, it is malformed.
        """
        if not body and not self.required:
            return self.default
        given: dict[str, Any] = {}
        for name, value in _fields(body, call.told.get(b"content-type", b"")):
            if name in self.several:
                given.setdefault(name, []).append(value)
            else:
                given[name] = value
        return _converted(given, self.schema.type)


def form_payload(name: str, schema: Schema[Any], default: Any) -> FormPayload:
    """Raises ConfigError if the type has no fields."""
    type_ = bare(schema.type)
    if not is_model(type_):
        raise ConfigError(f"{name}: a Form is of a model with fields, not {type_name(type_)}")
    hints = typing.get_type_hints(get_origin(type_) or type_)
    several = {
        _encoded(type_, field)
        for field, hint in hints.items()
        if (get_origin(bare(hint)) or bare(hint)) in SEVERAL
    }
    return FormPayload(name, schema, default, frozenset(several))


def _encoded(type_: Any, field: str) -> str:
    if not is_struct(type_):
        return field
    names = {each.name: each.encode_name for each in msgspec.structs.fields(type_)}
    return names.get(field, field)


def _converted(given: Mapping[str, Any], type_: Any) -> Any:
    if is_pydantic(type_):
        from pydantic import TypeAdapter, ValidationError

        try:
            return TypeAdapter(type_).validate_python(given)
        except ValidationError as error:
            raise SchemaError("not that form", problems=pydantic_faults(error)) from error
    try:
        return msgspec.convert(given, type_, strict=False)
    except msgspec.ValidationError as error:
        raise SchemaError("not that form", problems=_faults(given, type_, error)) from error


def _faults(given: Mapping[str, Any], type_: Any, error: Exception) -> Sequence[str]:
    """Return every fault: the fields are judged one by one."""
    found = list[str]()
    for name, hint, required in _typed(bare(type_)):
        if name not in given:
            found += [f"{name}: missing"] if required else []
            continue
        try:
            msgspec.convert(given[name], hint, strict=False)
        except msgspec.ValidationError as fault:
            found.append(f"{name}: {fault}")
    return found or [f"body: {error}"]


def _typed(type_: Any) -> Sequence[tuple[str, Any, bool]]:
    if is_struct(type_):
        fields = msgspec.structs.fields(type_)
        return [(each.encode_name, each.type, each.required) for each in fields]
    hints = typing.get_type_hints(type_, include_extras=True)
    if dataclasses.is_dataclass(type_):
        missing = dataclasses.MISSING
        return [
            (f.name, hints[f.name], f.default is missing and f.default_factory is missing)
            for f in dataclasses.fields(type_)
        ]
    needed: frozenset[str] = getattr(type_, "__required_keys__", frozenset())
    return [(name, hint, name in needed) for name, hint in hints.items()]


def _fields(body: bytes, content_type: bytes) -> Fields:
    said = content_type.decode("latin-1")
    kind = said.partition(";")[0].strip().lower()
    if kind == URLENCODED:
        return _urlencoded(body)
    if kind == MULTIPART:
        return _multipart(body, said)
    raise Problem(
        415,
        f"the body is {kind or 'of no media type'}; send a form, as {URLENCODED} or {MULTIPART}",
        headers={"Accept": f"{URLENCODED}, {MULTIPART}"},
        supported=[URLENCODED, MULTIPART],
    )


def _urlencoded(body: bytes) -> Fields:
    try:
        text = body.decode("ascii")
        found = parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=MOST)
    except ValueError as error:
        raise Problem(400, "the body is not a urlencoded form, in UTF-8") from error
    return list(found)


def _multipart(body: bytes, content_type: str) -> Fields:
    head = f"Content-Type: {content_type}\r\n\r\n".encode("latin-1")
    whole = BytesParser(policy=HTTP).parsebytes(head + body)
    parts: Any = whole.get_payload()
    if not whole.is_multipart() or whole.defects or len(parts) > MOST:
        raise Problem(400, f"the body is not a multipart form of at most {MOST} fields")
    return [_part(part) for part in parts]


def _part(part: Message) -> tuple[str, Any]:
    name = part.get_param("name", header="content-disposition")
    content: Any = part.get_payload(decode=True)
    if not isinstance(name, str) or not isinstance(content, bytes):
        raise Problem(400, "a part of the multipart form has no name")
    if (filename := part.get_filename()) is not None:
        return name, Upload(filename, part.get_content_type(), content)
    try:
        return name, content.decode()
    except UnicodeDecodeError as error:
        raise Problem(400, f"the field {name!r} of the form is not UTF-8") from error
