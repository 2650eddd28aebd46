"""The answers to requests that fail, as our own code gives them: each written once."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from isthmus.deadline import HEADER as DEADLINE
from isthmus.services.documents.headers import header
from isthmus.services.problem import MEDIA_TYPE, Fault

__all__ = ["PROBLEMS", "Problem", "Told", "problem_ref", "problems"]


class Problem(msgspec.Struct):
    """What was wrong, as RFC 9457 says it; it may have further members."""

    type: str
    """A URI that names the kind of problem, for programs; "about:blank" says no more than the
    status."""
    title: str
    """The kind of problem, for people."""
    status: int
    detail: str = ""
    """What was wrong this time."""
    errors: Sequence[Fault] = ()
    """Every fault of the request, where there are several."""
    request_id: str = ""
    """Names the request in our logs; the header X-Request-ID has it too."""


class Told(msgspec.Struct, frozen=True):
    """One such answer."""

    name: str
    """Under which documents keep it."""
    description: str
    headers: Sequence[str] = ()


PROBLEMS: Mapping[int, Told] = {
    400: Told("Malformed", "The body is not of the format that it says it is."),
    401: Told("Unauthorized", "The request does not say who sends it.", ["WWW-Authenticate"]),
    403: Told("Forbidden", "Who sends the request may not do this."),
    404: Told("NotFound", "There is nothing here."),
    406: Told("NotAcceptable", "There is no answer of a media type that Accept names."),
    409: Told(
        "Conflict",
        "What the request was based on has changed, read it again; or another of the same "
        "Idempotency-Key still runs.",
    ),
    412: Told("PreconditionFailed", "What If-Match names is no longer what is there."),
    413: Told("TooLarge", "The body is larger than is read here."),
    415: Told("UnsupportedMediaType", "The body is of a media type that is not read.", ["Accept"]),
    422: Told(
        "Unprocessable",
        "The request is not what is expected here, `errors` has every fault; or its "
        "Idempotency-Key is that of another request.",
    ),
    428: Told("PreconditionRequired", "Say by If-Match what the request is based on."),
    500: Told("InternalError", "The fault is ours; the request id tells us more."),
    503: Told("Unavailable", "This cannot be done just now; try again.", ["Retry-After"]),
    504: Told(
        "TimedOut",
        "Something behind this did not answer in time; or the deadline of the request, by its "
        f"header {DEADLINE}, is over.",
    ),
}
"""What is answered by the layers around a handler, not by the handler itself."""


def problem_ref(status: int) -> dict[str, Any]:
    return {"$ref": f"#/components/responses/{PROBLEMS[status].name}"}


def problems(statuses: Sequence[int], schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return the Response Objects of `statuses` by name; `schema` is that of Problem."""
    return {
        PROBLEMS[status].name: problem(
            PROBLEMS[status].description, schema, PROBLEMS[status].headers
        )
        for status in sorted(statuses)
    }


def problem(
    description: str, schema: Mapping[str, Any], headers: Sequence[str] = ()
) -> dict[str, Any]:
    """Return one Response Object."""
    return {
        "description": description,
        "headers": {name: header(name) for name in ("X-Request-ID", *headers)},
        "content": {MEDIA_TYPE: {"schema": dict(schema)}},
    }
