"""A handler that failed because a policy refused a call: nothing is wrong with its message."""

from typing import cast

from isthmus.resilience.errors import (
    CircuitOpenError,
    DeadlinePassedError,
    NotCalledError,
    RetriesSpentError,
)

__all__ = ["refusal"]


def refusal(error: BaseException) -> NotCalledError | None:
    """Return the refusal that `error` is, or that ended the retrying it tells of; None if it is
    none, or one that would be the same later. Of several at once, that of a circuit counts."""
    if isinstance(error, RetriesSpentError) and error.__cause__ is not None:
        return refusal(error.__cause__)
    if isinstance(error, ExceptionGroup):
        several = cast("ExceptionGroup[Exception]", error).exceptions
        found = [refusal(each) for each in several]
        return None if None in found else max(found, key=_is_of_circuit)
    if not isinstance(error, NotCalledError) or isinstance(error, DeadlinePassedError):
        return None
    return error if error.retryable else None


def _is_of_circuit(error: NotCalledError | None) -> bool:
    return isinstance(error, CircuitOpenError)
