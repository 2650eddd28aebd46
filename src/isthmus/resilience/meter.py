"""What a rate limit let through, and when it lets through the next: pure, over the moment.

Who waits has reserved: those that come later wait longer, and nobody is overtaken.
"""

import math
from collections import deque
from typing import Protocol

__all__ = ["SET_BACK", "Meter", "SlidingWindow", "TokenBucket"]

INFINITE = float("inf")


class Meter(Protocol):
    """What was let through so far, for one key. Pure: the moment is an argument."""

    def reserve(self, now: float, most: float) -> float:
        """Let one through, now or within `most` seconds, and return in how many; or let none
        through, and return the seconds, over `most`, after which one would be."""
        ...

    def numbers(self) -> tuple[float, ...]:
        """Return all it remembers."""
        ...

    def recall(self, numbers: tuple[float, ...]) -> None:
        """Remember what another of its kind did; nothing of numbers that it can't have told."""
        ...


class TokenBucket:
    """Fills with `rate` tokens a second up to `burst`; a call takes one.

    In any t seconds no more than `burst + rate * t` are let through. Who waits has taken its
    token in advance: the bucket is in debt, so that those who come later wait longer.
    """

    __slots__ = ("_at", "_burst", "_rate", "_tokens")

    def __init__(self, rate: float, burst: float) -> None:
        self._rate, self._burst = rate, float(burst)
        self._tokens, self._at = self._burst, -INFINITE

    def reserve(self, now: float, most: float) -> float:
        self._fill(now)
        short = 1 - self._tokens
        wait = 0.0 if short <= CRUMB else _no_less(now, short / self._rate)
        if wait <= most:
            self._tokens -= 1
        return wait

    def _fill(self, now: float) -> None:
        """Add what came since: nothing by a clock that is a little behind another's; one that
        is far behind was set back, and is followed."""
        gone = now - self._at
        if gone > 0:
            self._tokens = min(self._burst, self._tokens + gone * self._rate)
            self._at = now
        elif -gone > SET_BACK:
            self._at = now

    def numbers(self) -> tuple[float, ...]:
        return self._tokens, self._at

    def recall(self, numbers: tuple[float, ...]) -> None:
        if len(numbers) == 2:
            self._tokens, self._at = min(numbers[0], self._burst), numbers[1]


class SlidingWindow:
    """Remembers when the last `most_calls` were let through: never more within `per` seconds.

    Exact where a bucket lets a burst follow a burst; it costs a number a call of the window.
    """

    __slots__ = ("_most_calls", "_passed", "_per")

    def __init__(self, most_calls: int, per: float) -> None:
        self._most_calls, self._per = most_calls, per
        self._passed: deque[float] = deque(maxlen=most_calls)

    def reserve(self, now: float, most: float) -> float:
        passed = self._passed
        if passed and passed[-1] - now > self._per + SET_BACK:
            passed.clear()
        full = len(passed) == self._most_calls
        wait = _no_less(now, passed[0] + self._per - now) if full else 0.0
        if wait <= most:
            passed.append(max(now + wait, passed[-1]) if passed else now)
        return wait

    def numbers(self) -> tuple[float, ...]:
        return tuple(self._passed)

    def recall(self, numbers: tuple[float, ...]) -> None:
        self._passed = deque(numbers, maxlen=self._most_calls)


CRUMB = 1e-9
"""Of a token: what rounding may have taken from it."""
SET_BACK = 60.0
"""Seconds by which machines' clocks may differ; a step back by more is followed."""


def _no_less(now: float, wait: float) -> float:
    """Return `wait` so that `now + wait` is no moment too early, however it is rounded."""
    return 0.0 if wait <= 0 else math.nextafter(now + wait, INFINITE) - now
