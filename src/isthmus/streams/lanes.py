"""The order of handling: one lane per key, each record after the one before it.

Records of one key never run beside each other; records without a key wait for
nobody. With batches, a partition is one lane, and a run is as many records as
a batch takes.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from itertools import islice

from isthmus.contracts import Record
from isthmus.streams.progress import Progress

__all__ = ["Lanes", "Run"]


class Run:
    """What one call of the handler gets: one record, or a batch; the front of its lane."""

    __slots__ = ("lane", "progress", "records", "since")

    def __init__(
        self, records: Sequence[Record], progress: Progress, lane: "Lane | None" = None
    ) -> None:
        self.records, self.progress, self.lane = records, progress, lane
        self.since: float | None = None
        """When the handler was called; None while it is not running, or must not be cut."""


class Lane:
    """What waits behind the run that is under way."""

    __slots__ = ("name", "progress", "waiting")

    def __init__(self, name: str | int, progress: Progress) -> None:
        self.name, self.progress = name, progress
        self.waiting: deque[Record] = deque()


class Lanes:
    """The lanes of one process; a lane is there while something of it is under way."""

    def __init__(self, *, batch: int) -> None:
        self._batch = batch
        self._lanes: dict[str | int, Lane] = {}

    def add(self, progress: Progress, records: Sequence[Record]) -> Sequence[Run]:
        """Queue `records` of one partition; return the runs that may begin."""
        if self._batch > 1:
            return self._add_to(progress.partition, progress, records)
        runs: list[Run] = []
        lanes = self._lanes
        for record in records:
            key = record.message.key
            if not key:
                runs.append(Run((record,), progress))
            elif (lane := lanes.get(key)) is None:
                lane = lanes[key] = Lane(key, progress)
                runs.append(Run((record,), progress, lane))
            else:
                lane.waiting.append(record)
        return runs

    def next(self, run: Run) -> Run | None:
        """`run` is over: return the next of its lane, if any."""
        lane = run.lane
        if lane is None or self._lanes.get(lane.name) is not lane:
            return None
        if not lane.waiting:
            del self._lanes[lane.name]
            return None
        return self._front(lane)

    def drop(self, progress: Progress) -> int:
        """Forget what waits of one partition; return how many records that was."""
        gone = [lane for lane in self._lanes.values() if lane.progress is progress]
        for lane in gone:
            del self._lanes[lane.name]
        return sum(len(lane.waiting) for lane in gone)

    def clear(self) -> None:
        """Forget all that waits."""
        self._lanes.clear()

    def _add_to(
        self, name: str | int, progress: Progress, records: Iterable[Record]
    ) -> Sequence[Run]:
        if (lane := self._lanes.get(name)) is not None:
            lane.waiting.extend(records)
            return ()
        lane = self._lanes[name] = Lane(name, progress)
        lane.waiting.extend(records)
        if not lane.waiting:
            del self._lanes[name]
            return ()
        return (self._front(lane),)

    def _front(self, lane: Lane) -> Run:
        waiting = lane.waiting
        if self._batch == 1:
            return Run((waiting.popleft(),), lane.progress, lane)
        if len(waiting) <= self._batch:
            records, lane.waiting = list(waiting), deque()
        else:
            records = list(islice(waiting, self._batch))
            for _ in records:
                waiting.popleft()
        return Run(records, lane.progress, lane)
