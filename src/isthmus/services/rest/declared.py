"""What routes add to the declared model."""

from collections.abc import Sequence
from typing import Any, ClassVar

import msgspec

from isthmus.handling.model import Declared
from isthmus.schema import Schema
from isthmus.services.rest.options import RouteOptions

__all__ = ["DeclaredParameter", "DeclaredRoute"]


class DeclaredParameter(msgspec.Struct, frozen=True, kw_only=True):
    """What a route takes from a request beside its body."""

    name: str
    location: str
    """"path", "query", "header" or "cookie"."""
    payload: Schema[Any]
    """Of its value, which is written as text."""
    required: bool
    default: Any = None
    """Where it is not required."""


class DeclaredRoute(Declared, frozen=True, kw_only=True):
    """One method of one path: "POST /v1/orders"."""

    kind: ClassVar[str] = "route"
    method: str
    path: str
    status: int
    """Of an answer that went well."""
    deadline: float | None
    """Seconds after which an answer is worth nothing."""
    takes: Schema[Any] | None
    """The body's; None if it has none. Written, it is its name and version, or the type."""
    takes_nothing: bool = False
    """Whether the body may be left out."""
    form: bool = False
    """Whether the body is a form, urlencoded or multipart."""
    gives: Schema[Any] | None
    """The answer's; None if it has none, or is not said."""
    gives_nothing: bool = False
    """Whether an answer that went well has no body, for sure."""
    streams: str = ""
    """The media type of an answer that is made while it is sent; "" if it is no such."""
    parameters: Sequence[DeclaredParameter] = ()
    """In the order of the function's; those of its dependencies are among them."""
    transactional: bool = False
    """Whether a request is a unit of work, which may meet a conflict."""
    reads: bool = False
    """Whether the function takes the request itself, and may read a body by hand."""
    function: str
    """Where it is written: "shop.orders:take"."""
    doc: str = ""
    """Its docstring."""
    options: RouteOptions = RouteOptions()
