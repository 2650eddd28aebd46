"""How far one partition is done: without a hole, and beyond."""

from collections import deque
from collections.abc import Collection, Sequence

from isthmus.contracts import Record

__all__ = ["Progress"]


class Progress:
    """What this process knows of one partition it reads, under one epoch."""

    __slots__ = (
        "_done",
        "_open",
        "committed",
        "epoch",
        "handled",
        "leaving",
        "lost",
        "moving",
        "noted",
        "partition",
        "position",
        "released",
        "running",
    )

    def __init__(self, partition: int, epoch: int, *, handled: set[int]) -> None:
        self.partition, self.epoch = partition, epoch
        self.handled = handled
        """Offsets that were done before this process took the partition."""
        self.position = self.committed = 0
        """All below `position` is done; `committed` is what the group knows of it."""
        self.noted = set[int]()
        """Offsets with a note in the store that the committed position has not passed."""
        self.moving = self.leaving = self.released = self.lost = False
        self.running = 0
        self._open: deque[int] = deque()  # from the lowest that is not done, in order
        self._done = set[int]()  # those among them that are

    @property
    def behind(self) -> bool:
        """Whether the group does not know yet how far it is."""
        return self.position > self.committed

    @property
    def busy(self) -> bool:
        """Whether anything of it runs, or is done and the group does not know it yet."""
        return self.running > 0 or self.moving or self.behind

    @property
    def spread(self) -> int:
        """How many records lie from the lowest that is not done to the newest taken."""
        return len(self._open)

    def begin(self, records: Sequence[Record]) -> Sequence[Record]:
        """Take up `records`, the next ones; return those that are still to do."""
        offsets = [record.offset for record in records]
        self._open.extend(offsets)
        if not self.handled or self.handled.isdisjoint(offsets):
            return records
        before = self.handled.intersection(offsets)
        self.handled -= before
        self.finish(sorted(before), noted=True)
        return [record for record in records if record.offset not in before]

    def reach(self, offsets: Sequence[int]) -> int | None:
        """Return what the position becomes once `offsets` (ascending) are done too; None
        if the lowest that is open is not among them."""
        if self._is_front(offsets):
            return offsets[-1] + 1
        reached, done = None, self._done.union(offsets)
        for offset in self._open:
            if offset not in done:
                break
            reached = offset + 1
        return reached

    def finish(self, offsets: Sequence[int], *, noted: bool) -> None:
        """These are done; `noted` if the store has a note of each."""
        if noted:
            self.noted.update(offsets)
        if self._is_front(offsets):
            for _ in offsets:
                self._open.popleft()
            self.position = offsets[-1] + 1
            return
        self._done.update(offsets)
        while self._open and self._open[0] in self._done:
            offset = self._open.popleft()
            self._done.discard(offset)
            self.position = offset + 1

    def _is_front(self, offsets: Sequence[int]) -> bool:
        """Whether they are all that is open up to the last of them: as batches mostly are."""
        if self._done or not 0 < len(offsets) <= len(self._open):
            return False
        return self._open[0] == offsets[0] and self._open[len(offsets) - 1] == offsets[-1]

    def passed(self, position: int) -> Collection[int]:
        """Return the offsets whose notes go when the group is at `position`."""
        return [offset for offset in self.noted if offset < position]

    def moved(self, position: int, passed: Collection[int]) -> None:
        """The group is at `position` now, and these notes are gone."""
        self.committed = position
        self.noted.difference_update(passed)
