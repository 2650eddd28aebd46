"""What may be said of a route, with unit, default and range; checked where it is said."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from difflib import get_close_matches
from typing import Any, Literal, TypedDict, Unpack, cast, get_type_hints

import msgspec

from isthmus.clock import Span, seconds
from isthmus.errors import ConfigError
from isthmus.schema.kinds import type_name
from isthmus.services.layers.idempotency import Idempotency
from isthmus.services.rest.formats import FORMATS, Format

__all__ = ["BODY_LIMIT", "RouteOptions", "RouteWords", "route_options"]

BODY_LIMIT = 1 << 20
"""Largest body that is read, in bytes, unless the route says more."""


class RouteOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How one method of one path is answered, and what its documents tell of it."""

    status: int | None = None
    """Of an answer that went well, 200 to 399. None is 200, or 204 for a handler that returns
    None."""
    body_limit: int = BODY_LIMIT
    """Bytes of a body that are read at most, then 413. Above 0; 1 MiB."""
    deadline: float | None = None
    """Seconds after which an answer is worth nothing. Above 0; None is never."""
    timeout: float | None = None
    """Seconds until its answer has to begin: then it is cancelled, undone, and a 504. 0 is never;
    None is the setting http_request_timeout."""
    tags: Sequence[str] = ()
    """Groups of operations that documents show it in."""
    deprecated: bool = False
    """Whether documents tell people to use another."""
    hidden: bool = False
    """Whether documents leave it out."""
    errors: Mapping[int, str] = {}
    """Statuses of problems that its handler raises, and when, for documents."""
    formats: Sequence[Format] = FORMATS
    """Media types that bodies and answers may have, the preferred first. JSON and MessagePack."""
    idempotency: Idempotency | None = None
    """Whether requests of one Idempotency-Key happen once. True, "optional", or an Idempotency that
    says it all; None is not."""
    etag: bool = True
    """Whether answers to GET that have no ETag of the handler's get one, from a hash."""

    def __post_init__(self) -> None:
        if self.status is not None and not 200 <= self.status <= 399:
            raise ConfigError(f"status={self.status!r} is out of range: 200 to 399")
        if self.body_limit <= 0:
            raise ConfigError(f"body_limit={self.body_limit!r}: expected more than 0 bytes")
        if self.deadline is not None and not 0 < self.deadline < float("inf"):
            raise ConfigError(f"deadline={self.deadline!r}: expected more than 0 seconds")
        if self.timeout is not None and not 0 <= self.timeout < float("inf"):
            raise ConfigError(f"timeout={self.timeout!r}: expected 0 seconds or more")
        if not self.formats:
            raise ConfigError("formats=(): expected at least one, as isthmus.services.JSON")


class RouteWords(TypedDict, total=False):
    """The same options as users write them; spans may be timedeltas."""

    status: int | None
    body_limit: int
    deadline: Span | None
    timeout: Span | None
    tags: Sequence[str]
    deprecated: bool
    hidden: bool
    errors: Mapping[int, str]
    formats: Sequence[Format]
    etag: bool
    idempotency: Idempotency | Literal["optional"] | bool | None


_SPANS = ("deadline", "timeout")

_TYPES = get_type_hints(RouteWords)


def route_options(where: str, **words: Unpack[RouteWords]) -> RouteOptions:
    """Return the options of the route `where`, "POST /v1/orders".

    Raises:
        ConfigError: There is no such option, or one is of another type or out of its range;
            `where` is named.
    """
    for name, value in words.items():
        _check(where, name, value)
    given = cast("dict[str, Any]", dict(words))
    given["idempotency"] = _idempotency(words.get("idempotency"))
    for name in _SPANS:
        if given.get(name) is not None:
            given[name] = seconds(given[name])
    try:
        return RouteOptions(**given)
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from error


def _check(where: str, name: str, value: object) -> None:
    """Raises ConfigError unless there is an option `name` that may be `value`."""
    if name not in _TYPES:
        meant = get_close_matches(name, _TYPES, n=1) or [", ".join(_TYPES)]
        raise ConfigError(f"{where}: no option {name!r}; write {meant[0]}")
    try:
        msgspec.convert(value, _TYPES[name], builtin_types=(timedelta,))
    except msgspec.ValidationError as error:
        expected = type_name(_TYPES[name])
        raise ConfigError(f"{where}: {name}={value!r}: expected {expected}") from error


def _idempotency(said: object) -> Idempotency | None:
    if isinstance(said, Idempotency):
        return said
    return Idempotency(required=said != "optional") if said else None
