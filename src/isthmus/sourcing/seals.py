"""Personal fields of events, encrypted where they are written, and opened where they are read.

A sealed field is an object that says all that reading it takes, so that it can be read
whatever became of its type: {"isthmus:sealed": ..., "subject": ..., "default": ...}.
"""

from base64 import b64decode, b64encode
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

import msgspec

from isthmus.contracts import Record, StoreEngine, Transaction
from isthmus.errors import CorruptedError, SchemaError
from isthmus.message import Message
from isthmus.schema import Schema, UnionSchema
from isthmus.sourcing.keys import Key, Keys, require_cipher
from isthmus.sourcing.personal import PersonalField, personal_fields

__all__ = ["SEALED", "Seals"]

SEALED = "isthmus-sealed"
"""Header of an event that has sealed fields."""
MARK = "isthmus:sealed"


class Seals:
    """Those of one aggregate type."""

    def __init__(self, store: StoreEngine, name: str, schema: Schema[Any]) -> None:
        """Raises:
        ConfigError: Fields are marked that cannot be, or the library is missing.
        """
        self.keys = Keys(store, name)
        self._members: Mapping[str, Schema[Any]] = {
            each.name: each
            for each in (schema.members if isinstance(schema, UnionSchema) else (schema,))
        }
        marked = {name: personal_fields(each.type) for name, each in self._members.items()}
        self._fields = {name: fields for name, fields in marked.items() if fields}
        self.needed = bool(self._fields)
        """Whether any event has personal fields."""
        if self.needed:
            require_cipher()
        self.own = all(not each.subject for fields in self._fields.values() for each in fields)
        """Whether all of them are the aggregate's own."""

    def touches(self, messages: Sequence[Message]) -> bool:
        """Whether any of these has to be sealed."""
        return self.needed and any(message.type in self._fields for message in messages)

    # --- events -----------------------------------------------------------------------------

    async def seal(
        self, key: str, messages: Sequence[Message], events: Sequence[Any], *, tx: Transaction
    ) -> Sequence[Message]:
        """Return messages whose personal fields only the holder of the subjects' keys can read.

        Raises:
            SchemaError: A subject is no text, or a default does not fit.
        """
        if not self.touches(messages):
            return messages
        subjects = [
            self._subjects(each, of, key) for each, of in zip(messages, events, strict=True)
        ]
        wanted = sorted({subject for each in subjects for subject in each.values()})
        keys = await self.keys.want(wanted, tx=tx)
        return [
            self._sealed(message, of, keys) if of else message
            for message, of in zip(messages, subjects, strict=True)
        ]

    async def open(self, records: Sequence[Record]) -> Sequence[Record]:
        """Return records whose fields can be read; of who is forgotten, as their defaults."""
        if not any(SEALED in record.message.headers for record in records):
            return records
        bodies = {
            index: msgspec.json.decode(record.message.body)
            for index, record in enumerate(records)
            if SEALED in record.message.headers
        }
        subjects = {seal["subject"] for body in bodies.values() for seal in _seals(body)}
        keys = await self.keys.find(subjects)
        return [
            _opened(record, bodies[index], keys) if index in bodies else record
            for index, record in enumerate(records)
        ]

    def _subjects(self, message: Message, event: Any, key: str) -> Mapping[tuple[str, ...], str]:
        """Return whose each field is, by its path."""
        found = dict[tuple[str, ...], str]()
        for field in self._fields.get(message.type, ()):
            subject = _attribute(event, field.subject) if field.subject else key
            if not isinstance(subject, str) or not subject:
                raise SchemaError(
                    f"{message.type}.{field.subject} says whose data it is, and is {subject!r}; "
                    "expected text"
                )
            found[field.path] = subject
        return found

    def _sealed(
        self, message: Message, subjects: Mapping[tuple[str, ...], str], keys: Mapping[str, Key]
    ) -> Message:
        body, blank = msgspec.json.decode(message.body), msgspec.json.decode(message.body)
        for field in self._fields[message.type]:
            subject = subjects[field.path]
            _seal_in(body, field, subject, keys[subject], of=message.id)
            _blank_in(blank, field)
        self._require_readable(message, blank)
        sealed = message.with_headers({SEALED: "1"})
        return msgspec.structs.replace(sealed, body=msgspec.json.encode(body))

    def _require_readable(self, message: Message, blank: Any) -> None:
        try:
            self._members[message.type].read(msgspec.json.encode(blank))
        except SchemaError as error:
            raise SchemaError(
                f"a default of Personal does not fit its field: {error}", problems=error.problems
            ) from error

    # --- snapshots --------------------------------------------------------------------------

    async def seal_state(self, key: str, state: bytes, *, tx: Transaction) -> bytes:
        """Return a snapshot that cannot be read once its subject is forgotten: or, if it may
        hold the data of several, anybody."""
        if not self.needed:
            return state
        subject = self._of_state(key)
        keys = await self.keys.want([subject], tx=tx)
        return keys[subject].seal(state, of=f"snapshot:{key}")

    async def open_state(self, key: str, sealed: bytes) -> bytes | None:
        """Return a snapshot as it was; None if it cannot be read any more."""
        if not self.needed:
            return sealed
        subject = self._of_state(key)
        found = (await self.keys.find([subject])).get(subject)
        if found is None or not found.opens(sealed):
            return None
        return found.open(sealed, of=f"snapshot:{key}")

    def _of_state(self, key: str) -> str:
        return key if self.own else ""


def _attribute(event: Any, name: str) -> Any:
    if isinstance(event, dict):
        return cast("dict[str, Any]", event).get(name)
    return getattr(event, name)


def _seal_in(body: Any, field: PersonalField, subject: str, key: Key, *, of: str) -> None:
    if (inner := _parent(body, field.path)) is None:
        return
    text = msgspec.json.encode(inner[field.path[-1]])
    inner[field.path[-1]] = {
        MARK: b64encode(key.seal(text, of=of)).decode(),
        "subject": subject,
        "default": field.default,
    }


def _blank_in(body: Any, field: PersonalField) -> None:
    if (inner := _parent(body, field.path)) is not None:
        inner[field.path[-1]] = field.default


def _parent(body: Any, path: tuple[str, ...]) -> dict[str, Any] | None:
    """Return the object that has the field; None if it, or one around it, is left out."""
    for name in path[:-1]:
        body = body.get(name) if isinstance(body, dict) else None  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    return cast("dict[str, Any]", body) if isinstance(body, dict) and path[-1] in body else None


def _seals(body: Any) -> Iterator[dict[str, Any]]:
    if isinstance(body, dict):
        parts = cast("dict[str, Any]", body)
        if MARK in parts:
            yield parts
        else:
            for part in parts.values():
                yield from _seals(part)


def _opened(record: Record, body: Any, keys: Mapping[str, Key]) -> Record:
    opened = msgspec.json.encode(_unsealed(body, keys, of=record.message.id))
    message = msgspec.structs.replace(record.message, body=opened)
    return msgspec.structs.replace(record, message=message)


def _unsealed(body: Any, keys: Mapping[str, Key], *, of: str) -> Any:
    if not isinstance(body, dict):
        return body
    parts = cast("dict[str, Any]", body)
    if MARK not in parts:
        return {name: _unsealed(part, keys, of=of) for name, part in parts.items()}
    sealed, key = b64decode(parts[MARK]), keys.get(parts["subject"])
    if key is None or not key.opens(sealed):
        return parts["default"]
    try:
        return msgspec.json.decode(key.open(sealed, of=of))
    except Exception as error:
        raise CorruptedError(f"a sealed field of event {of!r} was changed since") from error
