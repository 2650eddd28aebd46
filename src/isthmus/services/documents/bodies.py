"""The media types of a body or an answer, with its schema."""

from collections.abc import Sequence
from typing import Any

from isthmus.schema import Schema
from isthmus.schema.codec import JSON, OCTETS
from isthmus.services.documents.schemas import Schemas, Use
from isthmus.services.rest.declared import DeclaredRoute

__all__ = ["content"]

FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")

_BINARY: dict[str, Any] = {"type": "string", "format": "binary"}


def content(
    payload: Schema[Any], route: DeclaredRoute, schemas: Schemas, use: Use
) -> dict[str, Any]:
    """Return the `content` of a body or an answer of `route`. Bytes have no schema of ours, and
    are missing where there are none."""
    if payload.type is bytes:
        missing = use.way == "in" and not route.takes_nothing
        return {OCTETS: {"schema": _BINARY | ({"minLength": 1} if missing else {})}}
    return {kind: {"schema": schemas.of(use)} for kind in _media_types(route, use)}


def _media_types(route: DeclaredRoute, use: Use) -> Sequence[str]:
    if route.form and use.way == "in":
        return FORMS
    formats = getattr(route.options, "formats", ())
    return [each.media_type for each in formats] or [JSON]
