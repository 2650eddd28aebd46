"""The words that users write, and what is read without a word."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, Literal

from isthmus.errors import ConfigError
from isthmus.schema.formats.format import Format
from isthmus.schema.formats.json import Json
from isthmus.schema.formats.msgpack import MsgPack
from isthmus.schema.kinds import is_protobuf

__all__ = ["Choice", "chosen", "media_type", "readers"]

Word = Literal["json", "msgpack", "avro", "protobuf"]
Choice = Word | Format | Sequence[Word | Format] | None
"""What is said at `format=`: the format that is written, or several that are read, of which the
first is written. None is what the payload type has by itself."""


def chosen(choice: Choice, type_: Any) -> tuple[Format, ...]:
    """Return the formats of a place that carries `type_`.

    Raises:
        ConfigError: There is no such format.
    """
    if choice is None:
        return (_named("protobuf" if is_protobuf(type_) else "json"),)
    if isinstance(choice, str) or not isinstance(choice, Sequence):
        return (_one(choice),)
    if not choice:
        raise ConfigError("format=[] names none; leave it away for JSON")
    return tuple(map(_one, choice))


def readers(formats: Sequence[Format], type_: Any) -> Mapping[str, Format]:
    """Return what reads each media type: the place's own formats before those that all know."""
    if type_ is bytes:
        return {}  # they are what they are
    known = [_named("protobuf"), _named("json")] if is_protobuf(type_) else _everywhere()
    return {media: each for each in reversed((*formats, *known)) for media in each.media_types}


def media_type(told: str) -> str:
    """Return a content type as formats name theirs: without parameters, and what ends in +json
    as JSON."""
    bare = told.partition(";")[0].strip().lower()
    return "application/json" if bare.endswith("+json") else bare


def _one(word: Any) -> Format:
    if isinstance(word, str):
        return _named(word)
    if not hasattr(word, "media_types"):
        raise ConfigError(f"format={word!r}: expected json, msgpack, avro, protobuf, or a format")
    return word


@cache
def _named(word: str) -> Format:
    match word:
        case "json":
            return Json()
        case "msgpack":
            return MsgPack()
        case "avro":
            from isthmus.schema.formats.avro import Avro

            return Avro()
        case "protobuf":
            from isthmus.schema.formats.protobuf import Protobuf

            return Protobuf()
        case _:
            raise ConfigError(f"format={word!r}: expected json, msgpack, avro or protobuf")


def _everywhere() -> Sequence[Format]:
    return (_named("json"), _named("msgpack"), _named("avro"))
