"""What a request asked for, and what the application behind is to see of it."""

from collections.abc import Sequence
from typing import NamedTuple

from starlette.types import Scope

__all__ = ["Asked", "Headers", "header_of"]

Headers = Sequence[tuple[bytes, bytes]]


class Asked(NamedTuple):
    """One version, and where the request says so."""

    version: str
    place: str
    """For errors: "its path", "the header 'api-version'"."""
    root: str | None = None
    """The path up to and with the version: the application's root."""
    headers: Headers | None = None
    """The request's, without what the application would not understand."""
    media_type: str = ""
    """What a JSON answer is to be called; "" if that is not for the request to say."""


def header_of(scope: Scope, name: bytes) -> str:
    """Return a header of the request, several joined as HTTP does; "" if there is none."""
    found = [value for header, value in scope["headers"] if header == name]
    return b", ".join(found).decode("latin-1") if found else ""
