"""What a call of a service raises, sorted by what to ask before it is repeated.

IsthmusError
└── RpcError                    it ended with a status: .code() .details .problems .metadata
    ├── RpcUnreachableError     it never ran: there was no connection          retryable
    ├── RpcUnavailableError     UNAVAILABLE, RESOURCE_EXHAUSTED: perhaps       retryable
    ├── RpcTimedOutError        DEADLINE_EXCEEDED: it ran, perhaps             retryable
    ├── RpcAbortedError         ABORTED: somebody else was first               retryable
    └── RpcRefusedError         the request is wrong, or not allowed

The second and third are an UnavailableError, too, the fourth a TimedOutError. The errors of
policies are beside them: NotCalledError (it never ran), RetriesSpentError (from the last of these).
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar

from isthmus.errors import IsthmusError, TimedOutError, UnavailableError
from isthmus.services.rpc.codes import Code

__all__ = [
    "RpcAbortedError",
    "RpcError",
    "RpcRefusedError",
    "RpcTimedOutError",
    "RpcUnavailableError",
    "RpcUnreachableError",
    "error_for",
]


class RpcError(IsthmusError):
    """A call ended with another status than OK."""

    def __init__(
        self,
        method: str,
        code: Code,
        details: str = "",
        *,
        problems: Sequence[str] = (),
        metadata: Mapping[str, str] | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(f"{method}: {code.name}: {details or 'no details'}")
        self.method = method
        """What was called, as "shop.v1.InventoryService/Reserve"."""
        self.details = details
        """What the other side says of it."""
        self.problems = tuple(problems)
        """Each fault that it found in the request, as "path: what is wrong"."""
        self.metadata = metadata or {}
        """What came with the status: its trailers, without binary ones."""
        self.retry_after = retry_after
        """Seconds that it asks to be left alone; None if it does not."""
        self._code = code

    def code(self) -> Code:
        """Return the status; a method, as it is in grpcio."""
        return self._code

    @property
    def request_id(self) -> str:
        """What the other side calls the request in its logs; "" if it did not say."""
        return self.metadata.get("x-request-id", "")

    def __reduce__(self) -> tuple[object, ...]:
        words = (self.problems, self.metadata, self.retry_after)
        return _again, (type(self), self.method, self._code, self.details, words)


class RpcUnreachableError(RpcError, UnavailableError):
    """There was no connection, or a server on its way out refused the call unread: nothing
    can have run."""

    never_ran: ClassVar[bool] = True


class RpcUnavailableError(RpcError, UnavailableError):
    """The service could not do it now, or the connection was lost; it ran, perhaps."""


class RpcTimedOutError(RpcError, TimedOutError):
    """The deadline was over before the answer came; it ran, perhaps."""


class RpcAbortedError(RpcError):
    """Somebody else was first: what the request was based on has changed. Read it again."""

    retryable: ClassVar[bool] = True


class RpcRefusedError(RpcError):
    """The request is not what the service takes, or its sender may not ask."""


_KINDS: Mapping[Code, type[RpcError]] = {
    Code.UNAVAILABLE: RpcUnavailableError,
    Code.RESOURCE_EXHAUSTED: RpcUnavailableError,
    Code.DEADLINE_EXCEEDED: RpcTimedOutError,
    Code.ABORTED: RpcAbortedError,
} | dict.fromkeys(
    (
        Code.INVALID_ARGUMENT,
        Code.NOT_FOUND,
        Code.ALREADY_EXISTS,
        Code.PERMISSION_DENIED,
        Code.UNAUTHENTICATED,
        Code.FAILED_PRECONDITION,
        Code.OUT_OF_RANGE,
    ),
    RpcRefusedError,
)


def error_for(code: Code) -> type[RpcError]:
    """Return the class of errors with that status."""
    return _KINDS.get(code, RpcError)


def _again(
    kind: type[RpcError],
    method: str,
    code: Code,
    details: str,
    words: tuple[Sequence[str], Mapping[str, str], float | None],
) -> RpcError:
    """Make one again in the process that it was pickled for."""
    problems, metadata, retry_after = words
    return kind(
        method, code, details, problems=problems, metadata=metadata, retry_after=retry_after
    )
