"""Options that are out of their range are refused when they are written, all in one manner."""

from collections.abc import Callable
from datetime import timedelta
from typing import cast

from isthmus.clock import Span, seconds
from isthmus.errors import ConfigError

__all__ = [
    "INFINITE",
    "ErrorTest",
    "Errors",
    "error_test",
    "is_number",
    "is_whole",
    "refuse_unless",
    "refuse_unless_flag",
    "refuse_unless_function",
    "refuse_unless_whole",
    "span_of",
]

INFINITE = float("inf")


def refuse_unless(ok: bool, strategy: str, option: str, value: object, wanted: str) -> None:  # noqa: FBT001
    """Raises ConfigError, which names the option, its value and what was expected."""
    if not ok:
        raise ConfigError(f"{strategy}({option}={value!r}): expected {wanted}")


def is_number(value: object) -> bool:
    """Return whether it is a number, and no truth value."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def refuse_unless_flag(strategy: str, option: str, value: object) -> None:
    """Raises ConfigError if it is neither True nor False."""
    refuse_unless(isinstance(value, bool), strategy, option, value, "True or False")


def refuse_unless_function(strategy: str, option: str, value: object) -> None:
    """Raises ConfigError if it can't be called, unless it is None."""
    ok = value is None or callable(value)
    refuse_unless(ok, strategy, option, value, "a function, or None")


def is_whole(value: object, least: int) -> bool:
    """Return whether it is a whole number, `least` or more."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def refuse_unless_whole(strategy: str, option: str, value: object, least: int) -> None:
    """Raises ConfigError if it is no whole number, or less than `least`."""
    wanted = f"{least} or more" + ("" if isinstance(value, int) else ", a whole number")
    refuse_unless(is_whole(value, least), strategy, option, value, wanted)


def span_of(strategy: str, option: str, value: Span, *, above_0: bool = False) -> float:
    """Return a span's seconds, if it is finite, and 0 or more, or above that."""
    is_span = isinstance(value, int | float | timedelta) and not isinstance(value, bool)  # pyright: ignore[reportUnnecessaryIsInstance] - who writes it may not check
    refuse_unless(is_span, strategy, option, value, "seconds, or a timedelta")
    span = seconds(value)
    if above_0:
        refuse_unless(0 < span < INFINITE, strategy, option, value, "more than 0 seconds")
    refuse_unless(0 <= span < INFINITE, strategy, option, value, "0 or more seconds")
    return span


ErrorTest = Callable[[Exception], bool]
Errors = type[Exception] | tuple[type[Exception], ...] | ErrorTest
"""Which errors are meant: by their type, or by what tells of each."""


def error_test(strategy: str, option: str, errors: Errors) -> ErrorTest:
    """Return what tells whether an error is meant; one of the program's own never is."""
    value: object = errors
    wanted = "types of Exception, or a function that tells"
    if not isinstance(errors, tuple | type):
        refuse_unless(callable(errors), strategy, option, value, wanted)
        return errors
    kinds = cast("tuple[type, ...]", errors if isinstance(errors, tuple) else (errors,))
    for kind in kinds:
        ok = isinstance(cast("object", kind), type) and issubclass(kind, Exception)
        refuse_unless(ok, strategy, option, value, wanted)

    def is_meant(error: Exception) -> bool:
        return isinstance(error, kinds) and not isinstance(error, ConfigError)

    is_meant.__name__ = " | ".join(kind.__name__ for kind in kinds) or "none"
    return is_meant
