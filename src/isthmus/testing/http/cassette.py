"""A file of calls and their answers, for people to read: JSON, bodies as what they are."""

import base64
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from isthmus.errors import ConfigError

__all__ = ["Answered", "Asked", "Cassette", "Content", "Played", "content_of"]


class Content(msgspec.Struct, frozen=True, omit_defaults=True):
    """A body, in one of three forms."""

    json: Any = msgspec.UNSET
    text: str | None = None
    base64: str | None = None

    def encoded(self) -> bytes:
        """Return it as it is sent."""
        if self.json is not msgspec.UNSET:
            return msgspec.json.encode(self.json)
        if self.text is not None:
            return self.text.encode()
        return base64.b64decode(self.base64 or "")


class Asked(msgspec.Struct, frozen=True, omit_defaults=True):
    method: str
    path: str
    query: Mapping[str, list[str]] = {}
    headers: Mapping[str, str] = {}
    """For the reader; they are not compared."""
    body: Content | None = None

    def same(self, other: "Asked") -> bool:
        """Return whether both ask for the same."""
        return not self.unlike(other)

    def unlike(self, other: "Asked") -> list[str]:
        """Return in what they differ."""
        return [
            name
            for name in ("method", "path", "query", "body")
            if getattr(self, name) != getattr(other, name)
        ]

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


class Answered(msgspec.Struct, frozen=True, omit_defaults=True):
    status: int
    headers: Mapping[str, str] = {}
    body: Content | None = None


class Played(msgspec.Struct, frozen=True):
    request: Asked
    response: Answered


class Tape(msgspec.Struct, frozen=True, kw_only=True):
    isthmus_cassette: int = 1
    """Version of this file's form."""
    calls: list[Played]


class Cassette:
    """What was recorded, in its order."""

    def __init__(self, path: Path) -> None:
        """Raises ConfigError if there is a file which is none."""
        self.path = path
        self.calls = _read(path) if path.exists() else list[Played]()

    def add(self, played: Played) -> None:
        """Keep a call, on disk too."""
        self.calls.append(played)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        text = msgspec.json.format(msgspec.json.encode(Tape(calls=self.calls)), indent=2)
        beside = self.path.with_name(f"{self.path.name}.{os.getpid()}")
        beside.write_bytes(text + b"\n")
        beside.replace(self.path)


def _read(path: Path) -> list[Played]:
    try:
        tape = msgspec.json.decode(path.read_bytes(), type=Tape)
    except (OSError, msgspec.MsgspecError) as error:
        raise ConfigError(f"{path} is no cassette: {error}") from error
    if tape.isthmus_cassette != 1:
        raise ConfigError(f"{path} is a cassette of form {tape.isthmus_cassette}; known is 1")
    return tape.calls


def content_of(body: bytes, kind: str) -> Content | None:
    """Return `body` in the form that a person reads best, None if it is empty; `kind` is its
    media type."""
    if not body:
        return None
    try:
        if "json" in kind:
            return Content(json=msgspec.json.decode(body))
        return Content(text=body.decode())
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return Content(base64=base64.b64encode(body).decode())
