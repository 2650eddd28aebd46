"""A way on which bits turn."""

from typing import Unpack

from isthmus.resilience.options import is_number, refuse_unless
from isthmus.testing.faults.fault import Forward, Limits, NetworkFault, Passage

__all__ = ["Corrupt"]


class Corrupt(NetworkFault):
    """Each byte has one of its bits turned with the probability `rate`; the same bytes for
    the same seed, however they are cut. 1 is each of them."""

    def __init__(self, rate: float = 1.0, **limits: Unpack[Limits]) -> None:
        super().__init__(**limits)
        ok = is_number(rate) and 0 < rate <= 1
        refuse_unless(ok, "Corrupt", "rate", rate, "above 0 to 1")
        self._rate = rate

    async def befall(self, data: bytes, passage: Passage, forward: Forward) -> None:
        await forward(bytes(self._turned(byte, passage) for byte in data))

    def _turned(self, byte: int, passage: Passage) -> int:
        drawn = passage.draw(self)
        return byte ^ 1 << int(8 * drawn / self._rate) if drawn < self._rate else byte
