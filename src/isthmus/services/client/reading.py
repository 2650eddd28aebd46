"""The body of an answer becomes a value of the type that was asked for."""

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import msgspec

from isthmus.schema.codec import codec_of
from isthmus.schema.kinds import type_name
from isthmus.services.client.errors import MismatchError

__all__ = ["decoded", "decoder", "problem_in", "text_of"]


def decoded(body: bytes, type_: Any, headers: Mapping[str, str], what: str = "the answer") -> Any:
    """Return `body` as a value of `type_`: `bytes` as it is, `str` as text unless it is JSON,
    all else as JSON; nothing at all is None.

    Raises:
        MismatchError: It is none.
    """
    decode = decoder(type_)
    try:
        return decode(body or b"null" if type_ is not bytes else body)
    except Exception as error:
        if type_ is str and "json" not in headers.get("content-type", ""):
            return text_of(body, headers)
        problems = [f"body: {error}"] if not body else codec_of(type_).faults(body, error)
        told = "; ".join(problems)
        raise MismatchError(
            f"{what} is not a {type_name(type_)}: {told}", problems=problems
        ) from error


@lru_cache(maxsize=1024)
def decoder(type_: Any) -> Callable[[bytes], Any]:
    """Return what decodes `type_`, compiled once.

    Raises:
        ConfigError: No library can carry such a type.
    """
    return codec_of(type_).decode


def problem_in(body: bytes, headers: Mapping[str, str]) -> dict[str, Any]:
    """Return the problem document in a body; empty if there is none, or none that can be read.

    Source: RFC 9457.
    """
    if headers.get("content-type", "").partition(";")[0].strip() != "application/problem+json":
        return {}
    try:
        return msgspec.json.decode(body, type=dict[str, Any])
    except msgspec.MsgspecError:
        return {}


def text_of(body: bytes, headers: Mapping[str, str]) -> str:
    """Return `body` as text."""
    _, _, after = headers.get("content-type", "").partition("charset=")
    charset = after.partition(";")[0].strip().strip('"') or "utf-8"
    try:
        return body.decode(charset, "replace")
    except LookupError:
        return body.decode("utf-8", "replace")
