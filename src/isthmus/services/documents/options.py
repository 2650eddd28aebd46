"""What each option of a route has documents say: a row for an option, by its name.

A row is called with the option's value and the route's record, and returns what its operation
says because of it. An option without a row changes nothing that a client sees.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, get_origin

import msgspec

from isthmus.services.rest.declared import DeclaredRoute
from isthmus.services.rest.pages import Page

__all__ = ["OPTIONS", "Said", "said_by_options"]


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """A part of what is said of one operation."""

    members: Mapping[str, Any] = {}
    """Members of the Operation Object."""
    parameters: tuple[str, ...] = ()
    """Headers that a request may have, by their names in `headers.PARAMETERS`."""
    required: tuple[str, ...] = ()
    """Those among them that it must have."""
    headers: tuple[str, ...] = ()
    """Headers of an answer that went well, by their names in `headers.HEADERS`."""
    empty: Mapping[int, str] = {}
    """Further answers without a body, and when."""
    problems: tuple[int, ...] = ()
    """Problems that are answered, by their status in `problems.PROBLEMS`."""
    raised: Mapping[int, str] = {}
    """Problems that the handler itself raises, and when."""


def _tags(value: Any, _: DeclaredRoute) -> Said:
    return Said(members={"tags": list(value)} if value else {})


def _deprecated(value: Any, _: DeclaredRoute) -> Said:
    return Said(members={"deprecated": True} if value else {})


def _errors(value: Any, _: DeclaredRoute) -> Said:
    return Said(raised=value)


def _formats(_: Any, route: DeclaredRoute) -> Said:
    typed = route.gives is not None and route.gives.type is not bytes
    return Said(problems=(406,) if typed else ())


def _etag(value: Any, route: DeclaredRoute) -> Said:
    if not value or route.method != "GET" or route.gives_nothing:
        return Said()
    return Said(
        parameters=("If-None-Match",),
        headers=("ETag",),
        empty={304: "The client has what is there: its ETag is one of If-None-Match."},
    )


def _idempotency(value: Any, _: DeclaredRoute) -> Said:
    if not value:
        return Said()
    required = value is True or getattr(value, "required", False)
    key = ("Idempotency-Key",)
    return Said(
        parameters=key,
        required=key if required else (),
        headers=("Idempotency-Replayed",),
        problems=(400, 409, 422),
    )


OPTIONS: Mapping[str, Callable[[Any, DeclaredRoute], Said]] = {
    "tags": _tags,
    "deprecated": _deprecated,
    "errors": _errors,
    "formats": _formats,
    "etag": _etag,
    "idempotency": _idempotency,
}


def said_by_options(route: DeclaredRoute) -> Iterator[Said]:
    """Yield what the options of a route say, in the order of the rows."""
    for name, row in OPTIONS.items():
        value = getattr(route.options, name, None)
        if value is not None:
            yield row(value, route)
    yield from _said_by_types(route)


def _said_by_types(route: DeclaredRoute) -> Iterator[Said]:
    """Yield what preconditions among the parameters say, and an answer that is a page."""
    for each in route.parameters:
        if (each.location, each.name.lower()) == ("header", "if-match"):
            yield Said(problems=(412, 428))
    if route.gives is not None and get_origin(route.gives.type) is Page:
        yield Said(headers=("Link",))
