"""What breaks when one version of a payload meets programs that know another.

Works on JSON Schema documents, so a stored one can be compared with the code's in CI.
The words (backward, forward, full) are those of Confluent's Schema Registry.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Literal, cast

from isthmus.schema.named import Schema
from isthmus.schema.reading import Reading
from isthmus.schema.registry import schema_of

__all__ = ["Mode", "incompatibilities"]

Mode = Literal["backward", "forward", "full"]


def incompatibilities(old: Any, new: Any, *, mode: Mode = "backward") -> list[str]:
    """Return what breaks between two versions, a sentence each; empty if they are compatible.

    `old` and `new` are a class, a Schema, or a JSON Schema document. "backward": new programs
    read what old ones wrote (consumers are deployed first). "forward": old programs read what
    new ones write. "full": both. Upcasters are not asked: what they mend is listed too. A
    document tells less than a class: a datetime of any time zone is just a string in it.
    """
    ways: dict[Mode, tuple[tuple[Any, Any, str, str], ...]] = {
        "backward": ((old, new, "old", "new"),),
        "forward": ((new, old, "new", "old"),),
        "full": ((old, new, "old", "new"), (new, old, "new", "old")),
    }
    return [problem for way in ways[mode] for problem in _problems(*way)]


def _problems(written: Any, read: Any, writer: str, reader: str) -> Iterator[str]:
    one, other = _document(written), _document(read)
    yield from Reading(one, other, writer=writer, reader=reader).problems()


def _document(subject: Any) -> Mapping[str, Any]:
    if isinstance(subject, Mapping):
        return cast("Mapping[str, Any]", subject)
    if isinstance(subject, Schema):
        return cast("Schema[Any]", subject).json_schema()
    return schema_of(subject).json_schema()
