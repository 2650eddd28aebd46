"""Telling a second request to stop from the echo of the first."""

__all__ = ["Patience"]

ECHO = 1.0
"""Seconds in which a signal counts as the same: terminals, shells and service managers
often send one to a process and to its group."""


class Patience:
    """How often somebody asked; `now` is of any clock that only goes forward."""

    def __init__(self) -> None:
        self._first: float | None = None

    def is_over(self, now: float) -> bool:
        """Note that it was asked; return whether that was done before, and meant."""
        if self._first is None:
            self._first = now
        return now - self._first > ECHO
