"""What a failure says: would another try help, did it run at all, whose fault was it?

Errors and results are read by their attributes, as HTTP and gRPC libraries have them
(`status`, `status_code`, `code()`, `response`, `headers`), and errors of a connection by the
names that those libraries gave them; none of them is imported.
"""

import math
import time
from collections.abc import Collection, Mapping
from typing import Any, cast

from isthmus.errors import IsthmusError
from isthmus.resilience.errors import NotCalledError, RetriesSpentError

__all__ = ["blames", "never_ran", "retry_after", "status_of", "transient", "transient_result"]

TRANSIENT = frozenset((
    408, 425, 429, 500, 502, 503, 504,
    "UNAVAILABLE", "RESOURCE_EXHAUSTED", "DEADLINE_EXCEEDED", "ABORTED",
))  # fmt: skip
"""Statuses after which the same call may succeed. HTTP: RFC 9110; gRPC: its status codes."""

REFUSED = frozenset((425, 429))
"""Statuses that say the request was not carried out."""

OURS = frozenset((
    "INVALID_ARGUMENT", "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED", "UNAUTHENTICATED",
    "FAILED_PRECONDITION", "OUT_OF_RANGE", "CANCELLED",
))  # fmt: skip
"""gRPC statuses that tell of the request, and nothing of the health of who answered."""

LOST = {
    "aiohttp": frozenset(("ClientConnectionError", "ClientPayloadError")),
    "httpx": frozenset(("NetworkError", "TimeoutException", "RemoteProtocolError")),
    "httpcore": frozenset(("NetworkError", "TimeoutException", "RemoteProtocolError")),
    "requests": frozenset(("ConnectionError", "Timeout", "ChunkedEncodingError")),
    "urllib3": frozenset(("TimeoutError", "ProtocolError", "ConnectTimeoutError")),
    "asyncpg": frozenset(("PostgresConnectionError",)),
}
"""Errors that say the connection was lost, or came to nothing in time, by the library."""

UNMADE = {
    "aiohttp": frozenset(("ClientConnectorError", "ConnectionTimeoutError")),
    "httpx": frozenset(("ConnectError", "ConnectTimeout", "PoolTimeout")),
    "httpcore": frozenset(("ConnectError", "ConnectTimeout", "PoolTimeout")),
    "requests": frozenset(("ConnectTimeout",)),
    "urllib3": frozenset(("NewConnectionError", "ConnectTimeoutError")),
}
"""Those that say there never was one, so that nothing can have run."""

Status = int | str | None


def transient(error: BaseException) -> bool:
    """Return whether the same call, soon, may succeed.

    An error of isthmus says it itself; one with a status is judged by that; else it is, if it
    is a lost connection or a timeout. What was retried inside already is not multiplied.
    """
    if isinstance(error, IsthmusError):
        return error.retryable and not isinstance(error, RetriesSpentError)
    status = status_of(error)
    if status is not None:
        return status in TRANSIENT
    told = getattr(error, "retryable", None)
    if isinstance(told, bool):
        return told
    return isinstance(error, ConnectionError | TimeoutError) or _is_one_of(error, LOST)


def transient_result(result: object) -> bool:
    """Return whether `result` is an answer, as an HTTP response, whose status says try again."""
    return status_of(result) in TRANSIENT


def never_ran(failure: object) -> bool:
    """Return whether an error, or a result, makes certain that the call had no effect: one that
    has an attribute `never_ran` says it itself."""
    told = getattr(failure, "never_ran", None)
    if isinstance(told, bool):
        return told
    if isinstance(failure, NotCalledError | ConnectionRefusedError) or _is_one_of(failure, UNMADE):
        return True
    return status_of(failure) in REFUSED


def blames(error: BaseException) -> bool:
    """Return whether `error` speaks against the health of who was called: it is not so for a
    call that was never made, nor for a status that finds fault with the request."""
    if isinstance(error, NotCalledError):
        return False
    status = status_of(error)
    if isinstance(status, int):
        return not 400 <= status < 500 or status in TRANSIENT
    return status not in OURS


def _is_one_of(error: object, known: Mapping[str, Collection[str]]) -> bool:
    """Whether its class, or one above it, has a name that is known of its library."""
    return any(
        kind.__name__ in known.get(kind.__module__.partition(".")[0], ())
        for kind in type(error).__mro__
    )


def status_of(thing: object) -> Status:
    """Return the HTTP status as a number, or the gRPC status by name; None if there is none."""
    for name in ("status", "status_code"):
        found = getattr(thing, name, None)
        if isinstance(found, int) and not isinstance(found, bool):
            return int(found)
    code = getattr(thing, "code", None)
    if callable(code):
        try:
            code = code()
        except Exception:  # noqa: BLE001 - some other library's `code`
            return None
    if isinstance(code, int) and 100 <= code < 600:
        return int(code)  # urllib's HTTPError
    named = getattr(code, "name", None)
    if isinstance(named, str):
        return named
    response = getattr(thing, "response", None)
    return status_of(response) if response is not None and response is not thing else None


def retry_after(thing: object, *, now: float | None = None) -> float | None:
    """Return the seconds that an error or a result asks to be left alone, None if it does not.

    Read from `retry_after`, else from a Retry-After header of it or of its `response`: seconds,
    or an HTTP date, which is compared with `now`, Unix seconds.
    """
    told: Any = getattr(thing, "retry_after", None)
    if told is None:
        told = _header(thing)
    if told is None or isinstance(told, bool):
        return None
    try:
        return _at_least_0(float(told))
    except (TypeError, ValueError):
        return _until(str(told), time.time() if now is None else now)


def _header(thing: object) -> Any:
    for bearer in (thing, getattr(thing, "response", None)):
        headers = getattr(bearer, "headers", None)
        if isinstance(headers, Mapping) or hasattr(headers, "get"):
            known = cast("Mapping[str, Any]", headers)
            found = known.get("Retry-After") or known.get("retry-after")
            if found is not None:
                return found
    return None


def _until(date: str, now: float) -> float | None:
    from email.utils import parsedate_to_datetime  # 5 ms to import, for the one who needs it

    try:
        return _at_least_0(parsedate_to_datetime(date).timestamp() - now)
    except (TypeError, ValueError, OverflowError):
        return None


def _at_least_0(seconds: float) -> float | None:
    return max(0.0, seconds) if math.isfinite(seconds) else None
