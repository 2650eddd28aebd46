"""What should be there, and what is."""

from collections import Counter
from collections.abc import Hashable, Iterable, Sequence

__all__ = ["Reckoning"]

SHOWN = 20
"""Entries named in words; the rest is counted."""


class Reckoning:
    """Every one of `wanted` should be in `found`, once, and nothing else."""

    def __init__(self, what: str, *, wanted: Iterable[Hashable], found: Iterable[Hashable]) -> None:
        expected, counted = frozenset(wanted), Counter(found)
        self.what, self.count = what, len(expected)
        self.lost = _sorted(expected - counted.keys())
        """Wanted, and not found."""
        self.twice = _sorted(each for each, times in counted.items() if times > 1)
        """Found more than once."""
        self.strange = _sorted(counted.keys() - expected)
        """Found, and not wanted."""

    @property
    def balances(self) -> bool:
        """Nothing was lost, nothing came twice, nothing came from nowhere."""
        return not (self.lost or self.twice or self.strange)

    def __str__(self) -> str:
        parts = [("lost", self.lost), ("twice", self.twice), ("strange", self.strange)]
        told = ", ".join(f"{len(found)} {name}{_named(found)}" for name, found in parts)
        return f"{self.what}: {self.count:,} wanted, {told}"


def _sorted(found: Iterable[Hashable]) -> Sequence[Hashable]:
    return sorted(found, key=str)


def _named(found: Sequence[Hashable]) -> str:
    if not found:
        return ""
    more = "" if len(found) <= SHOWN else ", ..."
    return f" ({', '.join(map(str, found[:SHOWN]))}{more})"
