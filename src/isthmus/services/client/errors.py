"""What a call of another service raises, sorted by what to ask before it is repeated.

IsthmusError
├── UnavailableError
│   ├── UnreachableError         it never ran: there was no connection          retryable
│   │   ├── NameUnknownError     the host's name leads nowhere (DNS)            retryable
│   │   ├── ConnectRefusedError  nobody listens there                           retryable
│   │   ├── ConnectTimedOutError no connection within the time for it           retryable
│   │   └── TlsFailedError       certificates or protocols don't fit            not retryable
│   ├── ConnectionBrokenError    it ran, perhaps: no answer, or half of one     retryable
│   ├── BusyError                408, 425, 429; a RefusedError too              retryable
│   └── FailedError              5xx; an AnswerError too        retryable: 500, 502, 503, 504
├── TimedOutError                (on the ground) it ran, perhaps                retryable
│   └── ReadTimedOutError        the rest of a streamed answer does not come    retryable
├── AnswerError                  an answer, but not the one asked for: .status .problem ...
│   ├── RedirectedError          3xx, to where this client does not go
│   ├── RefusedError             4xx: the request is wrong
│   └── FailedError              5xx: the other side is
├── SchemaError
│   └── MismatchError            an answer that went well, but is not of the type asked for
├── AnswerTooLargeError          larger than the client's limit; it ran
└── NotHttpError                 what came back is not HTTP; it ran, perhaps

The errors of policies are beside them: NotCalledError (it never ran), RetriesSpentError (from
the last of these).
"""

from collections.abc import Mapping
from typing import Any, ClassVar

from isthmus.errors import IsthmusError, SchemaError, TimedOutError, UnavailableError
from isthmus.resilience.classify import TRANSIENT, retry_after

__all__ = [
    "EXCERPT",
    "AnswerError",
    "AnswerTooLargeError",
    "BusyError",
    "ConnectRefusedError",
    "ConnectTimedOutError",
    "ConnectionBrokenError",
    "FailedError",
    "MismatchError",
    "NameUnknownError",
    "NotHttpError",
    "ReadTimedOutError",
    "RedirectedError",
    "RefusedError",
    "TlsFailedError",
    "UnreachableError",
    "error_for",
]

EXCERPT = 2048
"""Characters of a body that an error keeps."""


class UnreachableError(UnavailableError):
    """There was no connection to the other side, so that nothing can have run there."""

    never_ran: ClassVar[bool] = True


class NameUnknownError(UnreachableError):
    """The name of the host could not be resolved."""


class ConnectRefusedError(UnreachableError):
    """The host is there, and nobody listens on the port."""


class ConnectTimedOutError(UnreachableError):
    """There was no connection within the seconds for it (`Timeout.connect`)."""


class TlsFailedError(UnreachableError):
    """The other side could not prove who it is, or speaks no TLS that we do."""

    retryable: ClassVar[bool] = False


class ConnectionBrokenError(UnavailableError):
    """The connection broke before the answer was complete; the call may have had its effect."""


class ReadTimedOutError(TimedOutError):
    """Nothing more of a streamed answer came in time."""


class AnswerTooLargeError(IsthmusError):
    """The answer is larger than the client takes; the call had its effect."""

    def __init__(self, limit: int) -> None:
        super().__init__(
            f"the answer is larger than {limit} bytes, the client's limit: raise it by "
            "Client(..., limit=...), or take the answer in pieces by client.stream(...)"
        )
        self.limit = limit
        """Bytes."""

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.limit,)


class NotHttpError(IsthmusError):
    """What came back cannot be read as HTTP; the call may have had its effect."""


class AnswerError(IsthmusError):
    """The other side answered, but with a status that is not what was asked for."""

    def __init__(
        self,
        message: str,
        *,
        client: str,
        operation: str,
        status: int,
        headers: Mapping[str, str],
        body: bytes,
        problem: Mapping[str, Any],
        excerpt: str,
    ) -> None:
        super().__init__(message)
        self.client = client
        """Name of the client."""
        self.operation = operation
        """What was asked for, as "POST /charges"."""
        self.status = status
        self.headers = headers
        """The answer's, by name in any case."""
        self.body = body
        """The first 64 KiB of it."""
        self.problem = problem
        """The problem document (RFC 9457) in the body: `type`, `title`, `detail` and others;
        empty if there is none."""
        self.excerpt = excerpt
        """The first 2048 characters of the body, as text."""
        self.retry_after = retry_after(_Bearer(headers))
        """Seconds that it asks to be left alone; None if it does not."""
        vars(self)["retryable"] = status in TRANSIENT

    @property
    def request_id(self) -> str:
        """What the other side calls this request; "" if it does not say."""
        return self.headers.get("x-request-id", "")

    def __reduce__(self) -> tuple[object, ...]:
        said = ("client", "operation", "status", "body", "problem", "excerpt")
        kept = {name: getattr(self, name) for name in said} | {"headers": dict(self.headers)}
        return _again, (type(self), str(self), kept)


def _again(kind: "type[AnswerError]", message: str, said: dict[str, Any]) -> AnswerError:
    """Make one again in the process that it was pickled for."""
    return kind(message, **said)


class _Bearer:
    """Headers, where `retry_after` looks for them."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        self.headers = headers


class RedirectedError(AnswerError):
    """The answer is elsewhere, and this client does not go there by itself."""


class RefusedError(AnswerError):
    """The other side finds fault with the request (4xx); sent again, it is refused again."""


class BusyError(RefusedError, UnavailableError):
    """The other side cannot take the request now (408, 425, 429)."""


class FailedError(AnswerError, UnavailableError):
    """The other side failed (5xx); the call may have had its effect."""


class MismatchError(SchemaError):
    """The answer went well, but its body is not of the type that was asked for."""


BUSY = frozenset((408, 425, 429))


def error_for(status: int) -> type[AnswerError]:
    """Return which error an answer of this status is."""
    if status in BUSY:
        return BusyError
    if status < 400:
        return RedirectedError
    return RefusedError if status < 500 else FailedError
