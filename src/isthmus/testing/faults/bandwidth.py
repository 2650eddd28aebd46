"""A narrow way."""

from typing import Unpack

from isthmus.resilience.options import is_number, refuse_unless
from isthmus.testing.faults.fault import Forward, Limits, NetworkFault, Passage

__all__ = ["Bandwidth"]

TURNS = 20
"""Pieces that a second's bytes pass in."""


class Bandwidth(NetworkFault):
    """So many bytes a second pass, for each connection and way."""

    def __init__(self, rate: float, **limits: Unpack[Limits]) -> None:
        """`rate` in bytes a second, above 0."""
        super().__init__(**limits)
        refuse_unless(is_number(rate) and rate > 0, "Bandwidth", "rate", rate, "above 0 bytes")
        self._rate, self._piece = rate, max(1, int(rate / TURNS))

    async def befall(self, data: bytes, passage: Passage, forward: Forward) -> None:
        for at in range(0, len(data), self._piece):
            piece = data[at : at + self._piece]
            await passage.wait(self, len(piece) / self._rate)
            await forward(piece)
