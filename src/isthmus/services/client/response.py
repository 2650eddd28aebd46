"""An answer that was read to its end."""

from collections.abc import Mapping
from typing import Any, TypeVar, overload

import msgspec

from isthmus.services.client.judging import error_of
from isthmus.services.client.reading import decoded, text_of
from isthmus.services.client.transport import Reply, Whole

__all__ = ["Response", "given"]

T = TypeVar("T")


class Response(msgspec.Struct, frozen=True):
    """What a call without `result=` gives."""

    status: int
    headers: Mapping[str, str]
    """By name, in any case."""
    body: bytes

    def __repr__(self) -> str:
        return f"Response({self.status}, {len(self.body)} bytes)"

    @overload
    def json(self, /) -> Any: ...
    @overload
    def json(self, type: type[T], /) -> T: ...
    def json(self, type: Any = Any, /) -> Any:
        """Return the body as JSON says it, or as a value of `type`.

        Raises:
            MismatchError: It is none; `problems` has every fault.
        """
        return decoded(self.body, type, self.headers)

    @property
    def text(self) -> str:
        """The body as text, in its own charset, else UTF-8; what can't be read is replaced."""
        return text_of(self.body, self.headers)

    @property
    def ok(self) -> bool:
        """Whether the status is below 400."""
        return self.status < 400


def given(reply: Any, result: Any, client: str, operation: str) -> Any:
    """Return an answer as the `result` that was asked for, as a Response if none was; what a
    policy gives instead of one, as it is.

    Raises:
        RedirectedError: There is nothing of the kind in it, as it leads elsewhere.
        MismatchError: Its body is not of that type.
    """
    if reply.__class__ is not Reply:
        return reply
    whole: Whole = reply.body
    if result is None:
        return Response(reply.status, reply.headers, whole.content)
    if reply.status >= 300:
        raise error_of(reply, whole.content, client=client, operation=operation)
    return decoded(whole.content, result, reply.headers, f"{client}: what {operation} gave")
