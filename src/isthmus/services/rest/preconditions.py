"""What a client takes for granted of the resource that it is about to change.

Source: RFC 9110, section 13; RFC 6585, section 3 (428).
"""

from collections.abc import Mapping
from datetime import datetime

from isthmus.services.layers.validators import CONDITIONS, entity_tag, http_date, judged
from isthmus.services.problem import Problem

__all__ = ["Preconditions", "required"]


class Preconditions:
    """The conditions of one request: `async def change(..., preconditions: Preconditions)`.

    So annotated, a request without any is answered 428; `Preconditions | None` is None for it.
    """

    __slots__ = ("_method", "_told")

    def __init__(self, method: str, told: Mapping[bytes, bytes]) -> None:
        """`told`: the request's headers, by name in small letters."""
        self._method, self._told = method, told

    @property
    def any(self) -> bool:
        """Whether the request has a condition."""
        return any(name in self._told for name in CONDITIONS)

    def check(
        self,
        etag: str | None = None,
        *,
        weak: bool = False,
        last_modified: datetime | None = None,
    ) -> None:
        """Return if the resource is what the client takes it for, as `Reply` told of it. Ask within
        the transaction that changes it. Neither a tag nor a moment: there is none yet, as for a PUT
        with `If-None-Match: *`.

        Raises:
            Problem: 412; its header has the tag of what is there.
        """
        tag = None if etag is None else entity_tag(etag, weak=weak)
        modified = None if last_modified is None else http_date(last_modified)
        if judged(self._method, self._told, etag=tag, modified=modified) is not None:
            raise Problem(
                412,
                "this is not what you have seen; read it again, and decide",
                headers={} if tag is None else {"ETag": tag},
            )


def required() -> Problem:
    """Return the answer to a request without a condition where one is asked for."""
    return Problem(
        428,
        "this changes what others may have changed: say which version you have seen, with the "
        "header If-Match and the ETag that you got",
    )
