"""The headers that requests and answers have beside those of handlers, each written once."""

from collections.abc import Collection, Mapping
from typing import Any

from isthmus.deadline import HEADER as DEADLINE

__all__ = ["PARAMETERS", "header", "headers", "parameter", "parameters"]

_TEXT = {"type": "string"}

HEADERS: Mapping[str, Mapping[str, Any]] = {
    "X-Request-ID": {
        "description": "The request's id: that of its own X-Request-ID, or one of ours. Logs and "
        "problems have it.",
        "schema": _TEXT,
    },
    "isthmus-degraded": {
        "description": "Names what is missing in the answer, or not as fresh as it should be.",
        "schema": _TEXT,
    },
    "Retry-After": {
        "description": "Seconds after which it is worth while to try again.",
        "schema": {"type": "integer", "minimum": 0},
    },
    "Accept": {"description": "The media types that are read.", "schema": _TEXT},
    "WWW-Authenticate": {"description": "How to say who one is.", "schema": _TEXT},
    "ETag": {"description": "Names this state of what is answered.", "schema": _TEXT},
    "Last-Modified": {"description": "When what is answered was changed.", "schema": _TEXT},
    "Link": {"description": "The pages before and after this one (RFC 8288).", "schema": _TEXT},
    "Idempotency-Replayed": {
        "description": "Whether the answer is that to an earlier request of this key.",
        "schema": _TEXT,
    },
}
"""Of answers."""

PARAMETERS: Mapping[str, Mapping[str, Any]] = {
    "X-Request-ID": {
        "description": "Names the request, up to 128 of A-Z a-z 0-9 _ . : / + = @ -; else we do.",
        "schema": _TEXT,
    },
    DEADLINE: {
        "description": "The moment, in Unix seconds with fractions, after which nobody wants "
        "the answer: nothing is begun that would come too late, and then it is a 504.",
        "schema": {"type": "number"},
    },
    "If-Match": {
        "description": "ETags, or *: do it only if one of them is that of what is there.",
        "schema": _TEXT,
    },
    "If-None-Match": {
        "description": "ETags of what the client has: then the answer is 304, without a body.",
        "schema": _TEXT,
    },
    "Idempotency-Key": {
        "description": "The client's name for what it asks for: the same again is done once, "
        "and answered as the first time.",
        "schema": {"type": "string", "minLength": 1},
    },
}
"""Of requests. The first two may be sent with any."""


def header(name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/headers/{name}"}


def parameter(name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/parameters/{name}"}


def headers(names: Collection[str]) -> dict[str, Any]:
    """Return the Header Objects of `names`."""
    return {name: dict(HEADERS[name]) for name in sorted(names)}


def parameters(names: Collection[str]) -> dict[str, Any]:
    """Return the Parameter Objects of `names`."""
    return {name: {"name": name, "in": "header", **PARAMETERS[name]} for name in sorted(names)}
