"""A peer that stands, and reads no more."""

from isthmus.testing.faults.fault import NetworkFault, Passage

__all__ = ["HalfOpen"]


class HalfOpen(NetworkFault):
    """Nothing is read: who sends fills the buffers between, then waits. What it sent
    arrives when this ends."""

    def room(self, passage: Passage) -> int | None:
        return max(0, self.after - passage.read)
