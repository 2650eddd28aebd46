"""How long, and how many, a queue and its dead letters are kept."""

import msgspec

from isthmus.clock import Span, seconds
from isthmus.errors import ConfigError

__all__ = ["Keeping", "keeping"]

MONTH = 30 * 86400.0


class Keeping(msgspec.Struct, frozen=True, kw_only=True):
    """Limits of one subscription; the oldest go first, and only those nobody holds."""

    retention: float | None = None
    """Seconds for which an unhandled message is kept. None is for ever."""
    max_length: int | None = None
    """Most messages that wait. None is no limit."""
    dead_retention: float | None = MONTH
    """Seconds for which a dead letter is kept. None is for ever; 30 days by default."""
    dead_length: int | None = 100_000
    """Most dead letters kept. None is no limit."""


def keeping(
    *,
    retention: Span | None = None,
    max_length: int | None = None,
    dead_retention: Span | None = MONTH,
    dead_length: int | None = 100_000,
) -> Keeping:
    """Return the limits as they are written by users.

    Raises:
        ConfigError: One of them is not above zero.
    """
    limits = Keeping(
        retention=None if retention is None else seconds(retention),
        max_length=max_length,
        dead_retention=None if dead_retention is None else seconds(dead_retention),
        dead_length=dead_length,
    )
    for name in limits.__struct_fields__:
        value = getattr(limits, name)
        if value is not None and value <= 0:
            raise ConfigError(f"{name}={value!r} must be above 0; None is no limit")
    return limits
