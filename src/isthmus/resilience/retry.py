"""How often a thing is tried, and how long to wait between."""

from dataclasses import dataclass
from typing import Literal, get_args

from isthmus.clock import Span, seconds
from isthmus.errors import ConfigError

__all__ = ["Jitter", "Retry"]

Jitter = Literal["full", "equal", "decorrelated", "none"]


@dataclass(frozen=True, slots=True, init=False)
class Retry:
    """Exponential backoff with jitter, so that many who failed together don't return together.

    Pure: the state is the number of the attempt, and randomness is an argument.

    Source: "Exponential Backoff and Jitter", Marc Brooker, AWS Architecture Blog, 2015.
    """

    attempts: int
    """Calls in all, the first among them. 1 up; default 5."""
    delay: float
    """Seconds before the second attempt, without jitter. 0 up; default 1."""
    factor: float
    """What each further delay is multiplied with. 1 up; default 2."""
    cap: float
    """Most seconds between two attempts. `delay` up; default 300."""
    jitter: Jitter
    """How much of a delay is left to chance. "full": all of it; "equal": half of it; "none"; or
    "decorrelated": between `delay` and three times the last one, whatever the attempt."""

    def __init__(
        self,
        attempts: int = 5,
        *,
        delay: Span = 1.0,
        factor: float = 2.0,
        cap: Span = 300.0,
        jitter: Jitter = "full",
    ) -> None:
        """Raises ConfigError if one of them is out of its range."""
        wait, most = seconds(delay), seconds(cap)
        _refuse_unless(attempts >= 1, "attempts", attempts, "1 or more")
        _refuse_unless(0 <= wait < INFINITE, "delay", delay, "0 or more seconds")
        _refuse_unless(1 <= factor < INFINITE, "factor", factor, "1 or more")
        _refuse_unless(wait <= most < INFINITE, "cap", cap, f"delay ({wait:g}) or more seconds")
        _refuse_unless(jitter in get_args(Jitter), "jitter", jitter, ", ".join(get_args(Jitter)))
        put = object.__setattr__
        put(self, "attempts", attempts)
        put(self, "delay", wait)
        put(self, "factor", float(factor))
        put(self, "cap", most)
        put(self, "jitter", jitter)

    def spent(self, attempt: int) -> bool:
        """Return whether `attempt`, counted from 1, was the last."""
        return attempt >= self.attempts

    def delay_before(self, attempt: int, draw: float, *, last: float = 0.0) -> float:
        """Return the seconds to wait before `attempt`, which is 2 for the first retry.

        `draw` is a random number from 0 to 1; `last` the delay before, which "decorrelated"
        goes by, 0 if there was none.
        """
        most = self.longest_before(attempt)
        match self.jitter:
            case "none":
                return most
            case "full":
                return draw * most
            case "equal":
                return (1 + draw) * most / 2
            case "decorrelated":
                reach = 3 * max(last, self.delay) - self.delay
                return min(self.cap, self.delay + draw * reach)

    def longest_before(self, attempt: int) -> float:
        """Return the most seconds that `delay_before` may return."""
        if self.jitter == "decorrelated":
            return self.cap
        try:
            return min(self.cap, self.delay * self.factor ** max(0, attempt - 2))
        except OverflowError:
            return self.cap if self.delay else 0.0


INFINITE = float("inf")


def _refuse_unless(ok: bool, option: str, value: object, wanted: str) -> None:  # noqa: FBT001
    if not ok:
        raise ConfigError(f"Retry({option}={value!r}): expected {wanted}")
