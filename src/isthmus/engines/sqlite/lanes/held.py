"""What one receiver holds, as far as it knows."""

from collections.abc import Iterable, Sequence
from itertools import islice

__all__ = ["Held"]


class Held:
    """Receipts, and until when each is leased; what ran out makes room.

    A transaction of the user's own may have settled some of them, and only the
    database knows whether it did: those stay doubtful, and are asked about when
    room is short.
    """

    def __init__(self, limit: int, *, lease: float) -> None:
        self._limit, self._lease = limit, lease
        self._looked_at = 0.0
        self._until: dict[str, float] = {}  # the earliest first
        self._doubtful: set[str] = set()
        self.wanted = False
        """Somebody waits for room; read by the thread that settles."""

    def room(self, now: float) -> int:
        """Return how many more it may hold, at least."""
        if now < self._looked_at:
            self._cut(now + self._lease)
        self._looked_at = now
        self.drop(list(self._lapsed(now)))
        return self._limit - len(self._until)

    def _lapsed(self, now: float) -> Iterable[str]:
        for receipt, until in self._until.items():
            if until > now:
                return
            yield receipt

    def lapse_at(self) -> float:
        """Return when the first lease runs out; inf if nothing is held."""
        return next(iter(self._until.values()), float("inf"))

    def take(self, receipts: Iterable[str], now: float) -> None:
        """Note that these are held for one lease from `now` on."""
        until = now + self._lease
        for receipt in receipts:
            self._until[receipt] = until

    def extend(self, receipts: Iterable[str], now: float) -> None:
        for receipt in receipts:
            self._until.pop(receipt, None)  # it goes to the end, and may have run out
            self._until[receipt] = now + self._lease

    def _cut(self, until: float) -> None:
        """The clock went back: no lease lasts beyond `until`."""
        self._until = {receipt: min(end, until) for receipt, end in self._until.items()}

    def drop(self, receipts: Iterable[str]) -> None:
        for receipt in receipts:
            self._until.pop(receipt, None)
            if self._doubtful:
                self._doubtful.discard(receipt)

    def doubt(self, receipts: Iterable[str]) -> None:
        """A transaction that is still open settles these."""
        self._doubtful.update(receipts)

    def doubtful(self, limit: int = 1000) -> Sequence[str]:
        return list(islice(self._doubtful, limit))
