"""How many calls at once a dependency bears, learnt from how long they take."""

import math

from isthmus.resilience.options import is_whole, refuse_unless, refuse_unless_whole

__all__ = ["AdaptiveLimit"]


class AdaptiveLimit:
    """Compares how long calls take now with how long they took for a while.

    As long as they take no longer than `tolerance` times that, the limit grows by about its
    square root for each call made at full load; when they take longer, calls are queueing
    somewhere, and it shrinks in proportion, by half at most. One for each Bulkhead; pure, and
    guarded by its bulkhead's lock.

    Source: Gradient2Limit of Netflix's concurrency-limits.
    """

    def __init__(
        self,
        *,
        least: int = 1,
        most: int = 200,
        tolerance: float = 1.5,
        smoothing: float = 0.2,
        memory: int = 600,
    ) -> None:
        """
        Args:
            least: Calls at once that are always let through. 1 up; default 1.
            most: Calls at once that are never exceeded. `least` up; default 200.
            tolerance: How many times the usual time a call may take. 1 up; default 1.5.
            smoothing: Share of each change that is made. Above 0, to 1; default 0.2.
            memory: Calls over which the usual time is an average, older ones counting less.
                1 up; default 600.

        Raises:
            ConfigError: One of them is out of its range.
        """
        refuse_unless_whole("AdaptiveLimit", "least", least, 1)
        for option, value, ok, wanted in (
            ("most", most, is_whole(most, least), f"least ({least}) or more"),
            ("tolerance", tolerance, 1 <= tolerance < math.inf, "1 or more"),
            ("smoothing", smoothing, 0 < smoothing <= 1, "above 0, to 1"),
            ("memory", memory, is_whole(memory, 1), "1 or more"),
        ):
            refuse_unless(ok, "AdaptiveLimit", option, value, wanted)
        self.least, self.most = least, most
        self.tolerance, self.smoothing, self.memory = tolerance, smoothing, memory
        self.usual = 0.0
        """Seconds that a call takes, on average; 0 before the first."""
        self._limit = float(least)

    def __repr__(self) -> str:
        usual = {"least": 1, "most": 200, "tolerance": 1.5, "smoothing": 0.2, "memory": 600}
        said = (f"{k}={getattr(self, k)}" for k, v in usual.items() if getattr(self, k) != v)
        return f"AdaptiveLimit({', '.join(said)})"

    def anew(self) -> "AdaptiveLimit":
        """Return one with the same options that has learnt nothing."""
        return AdaptiveLimit(
            least=self.least,
            most=self.most,
            tolerance=self.tolerance,
            smoothing=self.smoothing,
            memory=self.memory,
        )

    def begin(self, limit: int) -> None:
        """Begin with `limit`."""
        self._limit = min(max(float(limit), self.least), self.most)

    def after(self, took: float, *, running: int) -> int:
        """Return the limit after a call that took so many seconds, as one of `running`."""
        took = max(took, 1e-9)
        self.usual += (took - self.usual) / self.memory if self.usual else took
        if self.usual > 2 * took:
            self.usual *= 0.95  # load is over: what was usual under it is not usual any more
        if running * 2 >= self._limit:
            self._follow(took)
        return int(self._limit)

    def _follow(self, took: float) -> None:
        gradient = min(1.0, max(0.5, self.tolerance * self.usual / took))
        wanted = gradient * self._limit + math.sqrt(self._limit)
        moved = self._limit + self.smoothing * (wanted - self._limit)
        self._limit = min(max(moved, float(self.least)), float(self.most))
