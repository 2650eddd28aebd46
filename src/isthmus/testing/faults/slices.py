"""A way that cuts what is sent into small pieces."""

from typing import Unpack

from isthmus.clock import Span
from isthmus.resilience.options import refuse_unless_whole, span_of
from isthmus.testing.faults.fault import Forward, Limits, NetworkFault, Passage

__all__ = ["Slices"]


class Slices(NetworkFault):
    """Bytes arrive `size` at a time, `delay` seconds apart: what reads a frame in one go, or
    trusts in a client that is quick, is found out."""

    def __init__(self, size: int = 1, *, delay: Span = 0.0, **limits: Unpack[Limits]) -> None:
        super().__init__(**limits)
        refuse_unless_whole("Slices", "size", size, 1)
        self._size, self._delay = size, span_of("Slices", "delay", delay)

    async def befall(self, data: bytes, passage: Passage, forward: Forward) -> None:
        for at in range(0, len(data), self._size):
            await forward(data[at : at + self._size])
            await passage.wait(self, self._delay)
