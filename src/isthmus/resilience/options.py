"""Options that are out of their range are refused when they are written, all in one manner."""

from isthmus.clock import Span, seconds
from isthmus.errors import ConfigError

__all__ = ["INFINITE", "refuse_unless", "span_of"]

INFINITE = float("inf")


def refuse_unless(ok: bool, strategy: str, option: str, value: object, wanted: str) -> None:  # noqa: FBT001
    """Raises ConfigError, which names the option, its value and what was expected."""
    if not ok:
        raise ConfigError(f"{strategy}({option}={value!r}): expected {wanted}")


def span_of(strategy: str, option: str, value: Span, *, above_0: bool = False) -> float:
    """Return a span's seconds, if it is finite, and 0 or more, or above that."""
    span = seconds(value)
    if above_0:
        refuse_unless(0 < span < INFINITE, strategy, option, value, "more than 0 seconds")
    refuse_unless(0 <= span < INFINITE, strategy, option, value, "0 or more seconds")
    return span
