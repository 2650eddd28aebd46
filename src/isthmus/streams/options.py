"""What may be said of a consumer group, with unit, default and range."""

from typing import Literal, TypedDict, Unpack

import msgspec

from isthmus.clock import Span, seconds
from isthmus.errors import ConfigError
from isthmus.handling.consuming.options import LADDER, WEEK, HandlerOptions
from isthmus.resilience import Policy, Retry

__all__ = ["GroupOptions", "GroupWords", "OnError", "Start", "group_options"]

Start = Literal["earliest", "latest"]
OnError = Literal["park", "skip", "stop"]

MONTH = 30 * 86400.0


class GroupOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How a group handles the records of its stream, in each process."""

    start: Start = "earliest"
    """Where a group begins that never read before; later it goes on where it was."""
    concurrency: int = 16
    """Handlers that run at once, each on another key; with `batch`, each on another
    partition. 1 to 10,000."""
    retry: Retry = LADDER
    """When a failed record is tried again, and after how many attempts it is given up."""
    timeout: float = 300.0
    """Seconds a handler may take before it is cancelled and counted as failed, give or
    take a second. Above 0."""
    batch: int = 1
    """Records given to one call of the handler, which then takes a list; they are of one
    partition, and commit in one transaction. 1 to 10,000."""
    on_error: OnError = "park"
    """What a failed record does to those after it. "park": those of its key wait with it,
    the others flow. "skip": its key waits while it is retried, then goes on without it,
    a dead letter. "stop": after the last attempt this process reads no more."""
    inbox: float | None = None
    """Seconds for which an id handled once is not handled again, though it was appended
    twice: by a producer that tried again, or a relay that died. Above 0; None is not at
    all, so that each record counts."""
    session: float | None = None
    """Seconds without a sign of life after which a process's partitions are given to the
    others. 1 to 3,600; None is the setting `session`, 10 by default."""
    dead_retention: float | None = MONTH
    """Seconds for which a dead letter is kept. None is for ever."""
    dead_length: int | None = 100_000
    """Most dead letters kept. None is no limit."""
    policy: Policy | None = None
    """What guards each call of the handler, as that of HandlerOptions. While a circuit is open,
    the group waits at its record, and parks nothing."""

    def __post_init__(self) -> None:
        _one_of("start", self.start, Start)
        _one_of("on_error", self.on_error, OnError)
        if self.session is not None and not 1 <= self.session <= 3600:
            raise ConfigError(f"session={self.session!r} is out of range: 1 to 3600 seconds")
        self.handling()  # the ranges of the others are those of every handler

    def handling(self) -> HandlerOptions:
        """Return how parked records are handled: as all others."""
        return HandlerOptions(
            concurrency=self.concurrency,
            retry=self.retry,
            timeout=self.timeout,
            batch=self.batch,
            inbox=WEEK if self.inbox is None else self.inbox,
            policy=self.policy,
        )


class GroupWords(TypedDict, total=False):
    """The same options as users write them; spans may be timedeltas."""

    start: Start
    concurrency: int
    retry: Retry
    timeout: Span
    batch: int
    on_error: OnError
    inbox: Span | None
    session: Span
    dead_retention: Span | None
    dead_length: int | None
    policy: Policy | None


def group_options(**words: Unpack[GroupWords]) -> GroupOptions:
    """Return the options as they were written.

    Raises:
        ConfigError: One is unknown, or out of its range.
    """
    known = GroupOptions.__struct_fields__
    if unknown := sorted(set(words) - set(known)):
        raise ConfigError(f"a group has no option {unknown[0]!r}; it has {', '.join(known)}")
    spans = {name: seconds(span) for name in SPANS if (span := words.get(name)) is not None}
    return GroupOptions(**{**words, **spans})  # pyright: ignore[reportArgumentType]


SPANS = ("timeout", "inbox", "session", "dead_retention")


def _one_of(name: str, value: str, allowed: object) -> None:
    words: tuple[str, ...] = getattr(allowed, "__args__", ())
    if value not in words:
        raise ConfigError(f"{name}={value!r}: expected one of {', '.join(words)}")
