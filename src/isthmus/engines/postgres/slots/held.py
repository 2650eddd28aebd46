"""What one receiver holds, as far as it knows."""

from collections.abc import Iterable, Sequence
from itertools import islice, takewhile

__all__ = ["Held"]


class Held:
    """Receipts, and until when each is leased; what ran out makes room.

    A transaction of the user's own may have settled some of them, and only the database knows
    whether it did: those stay doubtful, and are asked about when room is short.
    """

    def __init__(self, limit: int, *, lease: float) -> None:
        self._limit, self._lease = limit, lease
        self._looked_at = 0.0
        self._until: dict[str, float] = {}  # the earliest first
        self._doubtful: set[str] = set()

    def room(self, now: float) -> int:
        """Return how many more it may hold, at least."""
        if now < self._looked_at:  # the clock went back: no lease lasts longer than one
            latest = now + self._lease
            self._until = {receipt: min(end, latest) for receipt, end in self._until.items()}
        self._looked_at = now
        lapsed = takewhile(lambda item: item[1] <= now, self._until.items())
        self.drop([receipt for receipt, _ in lapsed])
        return self._limit - len(self._until)

    def lapse_at(self) -> float:
        """Return when the first lease runs out; inf if nothing is held."""
        return next(iter(self._until.values()), float("inf"))

    def take(self, receipts: Iterable[str], now: float) -> None:
        """Note that these are held for one lease from `now` on."""
        for receipt in receipts:
            self._until.pop(receipt, None)  # it goes to the end
            self._until[receipt] = now + self._lease

    def drop(self, receipts: Iterable[str]) -> None:
        for receipt in receipts:
            self._until.pop(receipt, None)
            self._doubtful.discard(receipt)

    def doubt(self, receipts: Iterable[str]) -> None:
        """A transaction that is still open settles these."""
        self._doubtful.update(receipt for receipt in receipts if receipt in self._until)

    def doubtful(self, limit: int = 1000) -> Sequence[str]:
        return list(islice(self._doubtful, limit))
