"""What clients tell: signals, and lines of the logger `isthmus.client`. Neither holds a body, a
query or a header, but for the dates of a notice."""

import logging

from isthmus.signals import Signal

__all__ = ["CallMade", "UpstreamDeprecated", "log"]

log = logging.getLogger("isthmus.client")


class CallMade(Signal, frozen=True, kw_only=True):
    """One attempt of a call ended."""

    client: str
    operation: str
    """As "POST /charges/{id}": the path as the program wrote it, without a query."""
    status: int
    """0 if there was no answer."""
    error: str
    """Type of the error; "" if there was none."""
    took: float
    """Seconds, until the answer was read; of a streamed one, until its headers were there."""


class UpstreamDeprecated(Signal, frozen=True, kw_only=True):
    """An upstream announced that what was asked of it will go. Told once a day for each operation.

    Source: RFC 9745 (Deprecation), RFC 8594 (Sunset).
    """

    client: str
    operation: str
    deprecated_at: float | None
    """Unix seconds since when, or from when on, it is deprecated; None if it did not say."""
    sunset_at: float | None
    """Unix seconds from when on it may be gone; None if it did not say."""
    link: str
    """Where it is explained; "" if it did not say."""
