"""What a provider calls its error, wherever it says so."""

from collections.abc import Callable, Mapping
from typing import Any, cast

import msgspec

from isthmus.resilience.classify import status_of

__all__ = ["Coded", "code_of", "coded_at"]

Coded = Callable[[Exception], str]

PLACES = ("error.code", "errorCode", "error_code", "code", "error.type", "error", "type")
"""Where providers put it in a JSON body, the first that is there."""

LARGEST = 1 << 16
"""Bytes of a body that are looked at."""


def code_of(error: Exception) -> str:
    """Return the code of a library's error (`code`, or gRPC's status by name), or the one in the
    JSON body of an answer; "" if there is none."""
    for name in ("code", "error_code"):
        if isinstance(said := getattr(error, name, None), str) and said:
            return said
    if isinstance(status := status_of(error), str):
        return status
    body = _body(error)
    return next((said for place in PLACES if (said := _at(body, place))), "")


def coded_at(place: str) -> Coded:
    """Return what finds the code at `place` of a JSON body, as "error.code"."""
    return lambda error: _at(_body(error), place)


def _at(body: Any, place: str) -> str:
    for name in place.split("."):
        if not isinstance(body, Mapping):
            return ""
        body = cast("Mapping[str, Any]", body).get(name)
    if isinstance(body, int) and not isinstance(body, bool):
        return str(body)
    return body if isinstance(body, str) else ""


def _body(error: Exception) -> Any:
    """Return the JSON of an answer that an error holds; None if there is none."""
    for bearer in (error, getattr(error, "response", None)):
        content = getattr(bearer, "body", None) or getattr(bearer, "content", None)
        if isinstance(content, bytes) and len(content) <= LARGEST:
            try:
                return msgspec.json.decode(content)
            except msgspec.DecodeError:
                return None
        if isinstance(content, Mapping):
            return cast("Mapping[str, Any]", content)
    return None
