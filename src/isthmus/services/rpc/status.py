"""With which status a failed call ends, and what its caller may know of it.

The counterpart of `isthmus.services.problem`: the same errors, the same words.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from isthmus.errors import ConflictError, TimedOutError, UnavailableError
from isthmus.resilience.errors import DeadlinePassedError, NotCalledError, RetriesSpentError
from isthmus.services.problem import Problem
from isthmus.services.rpc.codes import Code
from isthmus.services.rpc.details import Violation
from isthmus.services.rpc.wire.converter import UnreadableError

__all__ = ["Status", "code_of_http", "status_of_error"]

_CODES: Mapping[int, Code] = {
    400: Code.INVALID_ARGUMENT,
    401: Code.UNAUTHENTICATED,
    403: Code.PERMISSION_DENIED,
    404: Code.NOT_FOUND,
    409: Code.ABORTED,
    410: Code.NOT_FOUND,
    413: Code.INVALID_ARGUMENT,
    416: Code.OUT_OF_RANGE,
    422: Code.INVALID_ARGUMENT,
    429: Code.RESOURCE_EXHAUSTED,
    499: Code.CANCELLED,
    500: Code.INTERNAL,
    501: Code.UNIMPLEMENTED,
    502: Code.UNAVAILABLE,
    503: Code.UNAVAILABLE,
    504: Code.DEADLINE_EXCEEDED,
}


class Status(NamedTuple):
    code: Code
    details: str
    violations: Sequence[Violation] = ()
    retry_after: float | None = None
    unforeseen: bool = False
    """Whether nobody expected the error: then it is for the log, whole."""


def code_of_http(status: int) -> Code:
    """Return the code that says what an HTTP status says."""
    if (found := _CODES.get(status)) is not None:
        return found
    return Code.FAILED_PRECONDITION if 400 <= status < 500 else Code.INTERNAL


def status_of_error(error: BaseException) -> Status:
    """Return what the caller of a failed call may know; the rest is for the log."""
    match error:
        case asyncio.CancelledError():
            return Status(Code.UNAVAILABLE, "cut off by a shutdown; try again", retry_after=1.0)
        case UnreadableError():
            faults = [Violation(*_split(fault)) for fault in error.problems]
            return Status(Code.INVALID_ARGUMENT, "; ".join(error.problems[:3]), faults)
        case Problem():
            return _of_problem(error)
        case ConflictError():
            told = "what this request was based on has changed; read it again"
            return Status(Code.ABORTED, told)
        case UnavailableError():
            told = "this cannot be done just now; try again"
            return Status(Code.UNAVAILABLE, told, retry_after=1.0)
        case DeadlinePassedError():
            told = "the time in which this answer was wanted is over"
            return Status(Code.DEADLINE_EXCEEDED, told)
        case NotCalledError() | RetriesSpentError():
            told = "a service behind this one is not to be had just now; try again"
            return Status(Code.UNAVAILABLE, told, retry_after=max(1.0, error.retry_after or 0))
        case TimedOutError():
            told = "a service behind this one did not answer in time"
            return Status(Code.DEADLINE_EXCEEDED, told)
        case NotImplementedError():
            return Status(Code.UNIMPLEMENTED, "this method is not implemented here")
        case _:
            told = "the fault is ours; the request id tells us more"
            return Status(Code.INTERNAL, told, unforeseen=True)


def _of_problem(problem: Problem) -> Status:
    faults = [Violation(fault.at, fault.detail) for fault in problem.faults]
    after = {name.lower(): each for name, each in problem.headers.items()}.get("retry-after", "")
    return Status(
        code_of_http(problem.status),
        problem.detail or problem.title,
        faults,
        retry_after=float(after) if after.isdecimal() else None,
    )


def _split(fault: str) -> tuple[str, str]:
    where, colon, what = fault.partition(": ")
    return (where, what) if colon else ("", fault)
