"""A history as a file: for a person to read, and for CI to play again."""

import base64
from pathlib import Path
from typing import Any, Self, cast

import msgspec

from isthmus.errors import CorruptedError
from isthmus.sagas.events import Event

__all__ = ["RecordedSaga"]


class RecordedSaga(msgspec.Struct, frozen=True, kw_only=True):
    """What happened to one saga. Made by `handle.recorded()`."""

    name: str
    id: str
    version: int
    events: tuple[Event, ...]

    def json(self) -> bytes:
        """Return it as JSON; what steps returned, and what was sent, is plain in it."""
        told = {
            "saga": self.name,
            "id": self.id,
            "version": self.version,
            "events": [_told(event) for event in self.events],
        }
        return msgspec.json.format(msgspec.json.encode(told), indent=1)

    def write(self, path: str | Path) -> None:
        """Write it to a file, in a folder that is made if it is missing."""
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_bytes(self.json())

    @classmethod
    def read(cls, source: str | Path | bytes) -> Self:
        """Return what `write` wrote to a file, or `json` returned.

        Raises:
            CorruptedError: It is something else.
        """
        text = source if isinstance(source, bytes) else Path(source).read_bytes()
        try:
            told = msgspec.json.decode(text)
            events = tuple(_event(each) for each in told["events"])
            return cls(name=told["saga"], id=told["id"], version=told["version"], events=events)
        except (msgspec.MsgspecError, KeyError, TypeError, ValueError) as error:
            what = "these bytes are" if isinstance(source, bytes) else f"{source} is"
            raise CorruptedError(f"{what} no recorded history of a saga: {error!r}") from error


def _told(event: Event) -> dict[str, Any]:
    told: dict[str, Any] = {"event": event.__struct_config__.tag}
    for name in event.__struct_fields__:
        value = getattr(event, name)
        if isinstance(value, bytes):
            told |= _plain(name, value)
        else:
            told[name] = value
    return told


def _plain(name: str, value: bytes) -> dict[str, Any]:
    try:
        return {name: msgspec.json.decode(value)}
    except msgspec.DecodeError:
        return {f"{name}_base64": base64.b64encode(value).decode()}


_KINDS: dict[object, type[Any]] = {
    kind.__struct_config__.tag: kind for kind in cast("tuple[type[Any], ...]", Event.__args__)
}


def _event(told: dict[str, Any]) -> Any:
    kind = _KINDS[told["event"]]
    fields = [name for name in kind.__struct_fields__ if name in told or f"{name}_base64" in told]
    return kind(**{name: _value(kind, name, told) for name in fields})


def _value(kind: type[Any], name: str, told: dict[str, Any]) -> Any:
    if name not in told:
        return base64.b64decode(told[f"{name}_base64"])
    if kind.__annotations__.get(name, "") in (bytes, "bytes"):
        return msgspec.json.encode(told[name])
    return told[name]
