"""A long way."""

from typing import Unpack

from isthmus.clock import Span
from isthmus.resilience.options import span_of
from isthmus.testing.faults.fault import Forward, Limits, NetworkFault, Passage

__all__ = ["Latency"]


class Latency(NetworkFault):
    """Bytes arrive `delay` seconds after they were sent, in order, plus up to `jitter`.

    They wait beside each other: the rate stays what it was.
    """

    def __init__(self, delay: Span, *, jitter: Span = 0.0, **limits: Unpack[Limits]) -> None:
        super().__init__(**limits)
        self._delay = span_of("Latency", "delay", delay)
        self._jitter = span_of("Latency", "jitter", jitter)

    async def befall(self, data: bytes, passage: Passage, forward: Forward) -> None:
        due = passage.arrived_at + self._delay + self._jitter * passage.draw(self)
        await passage.wait(self, due - passage.now())
        await forward(data)
