"""How many calls more than asked for may be made, by retries and hedges together."""

import threading

from isthmus.clock import Span
from isthmus.resilience.options import is_number, refuse_unless, refuse_unless_whole, span_of
from isthmus.resilience.tally import TimeTally

__all__ = ["RetryBudget"]


class RetryBudget:
    """Lets extra calls be a share of the calls, so that they cannot amplify an outage.

    Give the same one to every Retry and Hedge that calls the same dependency. At no moment were
    more extra calls made within the last `window` seconds than `minimum`, or than `rate` times
    the calls of those seconds if that is more. Safe from any thread.

    Source: RetryBudget of Finagle; RetryBudget of failsafe-go; "Handling Overload", Site
    Reliability Engineering, O'Reilly 2016.
    """

    def __init__(self, rate: float = 0.2, *, minimum: int = 3, window: Span = 10.0) -> None:
        """
        Args:
            rate: Extra calls for each call. 0 to 1; default 0.2.
            minimum: Extra calls of a window that are free, however few calls there are, so
                that a quiet dependency is retried too. 0 up; default 3.
            window: Seconds looked back on, to a tenth. Above 0; default 10.

        Raises:
            ConfigError: One of them is out of its range.
        """
        refuse_unless(is_number(rate) and 0 <= rate <= 1, "RetryBudget", "rate", rate, "0 to 1")
        refuse_unless_whole("RetryBudget", "minimum", minimum, 0)
        self.rate, self.minimum = rate, minimum
        self.window = span_of("RetryBudget", "window", window, above_0=True)
        self._tally = TimeTally(self.window)  # good: a call; bad: an extra call
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"RetryBudget({self.rate:g}, minimum={self.minimum}, window={self.window:g})"

    def called(self, now: float) -> None:
        """Count a call that was asked for."""
        with self._lock:
            self._tally.good(now)

    def spend(self, now: float) -> bool:
        """Take one extra call and return True; or False, if none is left now."""
        with self._lock:
            extra, total = self._tally.counts(now)
            if extra + 1 > max(self.minimum, self.rate * (total - extra)):
                return False
            self._tally.bad(now)
            return True
