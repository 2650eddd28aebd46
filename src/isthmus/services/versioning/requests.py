"""A request of an older version: its body is checked as what it was, and led up."""

import logging
from collections.abc import Mapping, Sequence

import msgspec
from starlette.datastructures import Headers as HeadersOf
from starlette.types import Receive, Scope

from isthmus.errors import SchemaError
from isthmus.schema import Schema
from isthmus.services.problem import Fault, Problem
from isthmus.services.rest.body import again, read
from isthmus.services.rest.parameters import faults_of, refusal
from isthmus.services.versioning.asked import Headers
from isthmus.versions import MigrationError
from isthmus.versions.change import Lead

__all__ = ["Upgrade", "is_json", "resized"]

_log = logging.getLogger("isthmus.versions")

_OF_THE_BODY = frozenset(
    {b"content-length", b"transfer-encoding", b"content-digest", b"digest", b"content-md5"}
)
_BAD_INPUT = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError)


class Upgrade:
    """What is done with the bodies of one operation in one version."""

    def __init__(self, up: Lead, check: Schema[object] | None, version: str, limit: int) -> None:
        """`check`: what the body must fit as it is sent, if that is known. `limit`: of bytes."""
        self._up, self._check, self._version, self._limit = up, check, version, limit

    async def __call__(self, scope: Scope, receive: Receive) -> tuple[Scope, Receive]:
        """Return the request as one of HEAD; one without a body, or without JSON, as it is.

        Raises:
            Problem: 422 with the faults in the older version's words; 413, 415 or 400.
        """
        headers = HeadersOf(scope=scope)
        if not is_json(headers.get("content-type", "application/json")):
            return scope, receive
        _refuse_encoded(headers)
        announced = headers.get("content-length", "0").encode("latin-1")
        body = await read(receive, announced=announced, limit=self._limit)
        led = self._led(body) if body else body
        return {**scope, "headers": resized(scope["headers"], len(led))}, again(led, receive)

    def _led(self, body: bytes) -> bytes:
        try:
            value = msgspec.json.decode(body)
        except (msgspec.MsgspecError, UnicodeError, RecursionError):
            return body  # no JSON: whoever reads it says so
        if self._check is not None:
            _refuse_misfit(self._check, body)
        try:
            return msgspec.json.encode(self._up(value))
        except MigrationError as error:
            if self._check is not None or not isinstance(error.__cause__, _BAD_INPUT):
                raise
            _log.warning("a request of %s was refused: %s", self._version, error)
            raise _unread(error, self._version) from error
        except (TypeError, ValueError, OverflowError, RecursionError) as error:
            raise MigrationError(f"a change of {self._version} made no JSON: {error}") from error


def is_json(content_type: str) -> bool:
    """Return whether a body is JSON that versions may differ in; problem documents are not."""
    kind = content_type.partition(";")[0].strip().lower()
    if kind == "application/json":
        return True
    return (
        kind.startswith("application/")
        and kind.endswith("+json")
        and kind != "application/problem+json"
    )


def resized(headers: Headers, length: int) -> list[tuple[bytes, bytes]]:
    """Return the headers of a body that was replaced by one of `length` bytes."""
    kept = [(name, value) for name, value in headers if name.lower() not in _OF_THE_BODY]
    return [*kept, (b"content-length", str(length).encode())]


def _refuse_encoded(headers: Mapping[str, str]) -> None:
    if headers.get("content-encoding", "identity").lower() != "identity":
        raise Problem(
            415,
            "a body of an older version must be sent without a content-encoding",
            headers={"Accept-Encoding": "identity"},
        )


def _refuse_misfit(check: Schema[object], body: bytes) -> None:
    try:
        check.decode(body)
    except SchemaError as error:
        raise refusal(list(faults_of(error, location="body"))) from error


def _unread(error: MigrationError, version: str) -> Problem:
    """The body was not checked before, so that the fault is most likely in it."""
    told = "missing, or not known" if error.missing else f"this is not what {version} takes"
    faults: Sequence[Fault] = [Fault("body", error.missing, told)]
    return refusal(faults)
