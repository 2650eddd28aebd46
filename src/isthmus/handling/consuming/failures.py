"""The history of a message's failures, which travels in its headers."""

import traceback
from collections.abc import Mapping, Sequence

import msgspec

from isthmus.message import Message

__all__ = ["EARLIER", "FAILURES", "MARKS", "REASON", "Failure", "failure", "failures", "recorded"]

FAILURES, REASON = "isthmus-failures", "isthmus-reason"
"""Headers: every failure as JSON; and, of a dead letter, why it was given up."""
EARLIER = "isthmus-earlier"
"""Header: how often it was tried before it came to the queue where it is."""
MARKS = (FAILURES, REASON, EARLIER)

KEPT, LONGEST = 20, 4000
"""Failures kept, the newest ones; characters of a traceback, its end."""


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt that failed."""

    attempt: int
    at: float
    error: str
    """"ValueError: no such sku"."""
    traceback: str = ""


def failure(error: BaseException, *, attempt: int, at: float) -> Failure:
    """Describe an error as it was raised by a handler."""
    told = "".join(traceback.format_exception(error))
    summary = "".join(traceback.format_exception_only(error)).strip()
    return Failure(attempt=attempt, at=at, error=summary[-LONGEST:], traceback=told[-LONGEST:])


def failures(message: Message) -> Sequence[Failure]:
    """Return what went wrong with `message` so far, oldest first."""
    if (told := message.headers.get(FAILURES)) is None:
        return ()
    return msgspec.json.decode(told, type=list[Failure])


def recorded(message: Message, new: Failure) -> Mapping[str, str]:
    """Return the header that adds `new` to the history of `message`."""
    history = [*failures(message), new][-KEPT:]
    return {FAILURES: msgspec.json.encode(history).decode()}
