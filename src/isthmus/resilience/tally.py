"""How many of the last calls went well: over a span of time, or over a number of calls."""

from collections import deque
from typing import Protocol

__all__ = ["CountTally", "Tally", "TimeTally"]

SLICES = 10
"""Into so many parts a window of time is cut; the oldest falls out as a whole."""


class Tally(Protocol):
    goods: int
    turn_at: float

    def good(self, now: float) -> None: ...

    def bad(self, now: float) -> None: ...

    def counts(self, now: float) -> tuple[int, int]:
        """Return how many were bad, and how many there were in all."""
        ...


class TimeTally:
    """Counts over the last `window` seconds, to a tenth of it: never older, perhaps a tenth
    younger. Adding costs the same whatever was added before.

    A clock that is set back by more than the window begins it anew; by less, or as far as
    threads' readings of it overtake each other, it stands still until it has caught up.
    """

    __slots__ = ("_bad", "_number", "_past", "_slice", "goods", "turn_at")

    def __init__(self, window: float) -> None:
        self._slice = window / SLICES
        self.goods = 0
        """Before `turn_at`, adding a good one is adding to this."""
        self._bad = 0
        self._past: deque[tuple[int, int, int]] = deque()
        self._number = 0
        self.turn_at = float("-inf")

    def good(self, now: float) -> None:
        if now >= self.turn_at:
            self._turn(now)
        self.goods += 1

    def bad(self, now: float) -> None:
        self._look(now)
        self._bad += 1

    def counts(self, now: float) -> tuple[int, int]:
        self._look(now)
        bad = self._bad + sum(bad for _, _, bad in self._past)
        return bad, bad + self.goods + sum(good for _, good, _ in self._past)

    def _look(self, now: float) -> None:
        """Count from now on in the slice that `now` is in."""
        if now >= self.turn_at:
            self._turn(now)
        elif now < self.turn_at - (SLICES + 1) * self._slice:
            self._past.clear()
            self.goods = self._bad = 0
            self._turn(now)

    def _turn(self, now: float) -> None:
        """Begin the slice that `now` is in; drop those that are a window away."""
        number = int(now // self._slice)
        if self.goods or self._bad:
            self._past.append((self._number, self.goods, self._bad))
            self.goods = self._bad = 0
        while self._past and self._past[0][0] <= number - SLICES:
            self._past.popleft()
        self._number, self.turn_at = number, (number + 1) * self._slice


class CountTally:
    """Counts over the last `window` calls."""

    __slots__ = ("_bad", "_last", "goods", "turn_at")

    def __init__(self, window: int) -> None:
        self.goods, self.turn_at = 0, float("-inf")
        self._last: deque[bool] = deque(maxlen=window)
        self._bad = 0

    def good(self, now: float) -> None:  # noqa: ARG002
        self._add(bad=False)

    def bad(self, now: float) -> None:  # noqa: ARG002
        self._add(bad=True)

    def counts(self, now: float) -> tuple[int, int]:  # noqa: ARG002
        return self._bad, len(self._last)

    def _add(self, *, bad: bool) -> None:
        last = self._last
        if len(last) == last.maxlen:
            self._bad -= last[0]
        last.append(bad)
        self._bad += bad
