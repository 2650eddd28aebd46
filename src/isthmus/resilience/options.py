"""Options that are out of their range are refused when they are written, all in one manner."""

from collections.abc import Callable
from typing import cast

from isthmus.clock import Span, seconds
from isthmus.errors import ConfigError

__all__ = ["INFINITE", "ErrorTest", "Errors", "error_test", "refuse_unless", "span_of"]

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
    return lambda error: isinstance(error, kinds) and not isinstance(error, ConfigError)
