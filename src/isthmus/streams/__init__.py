"""Streams: ordered, replayable records, read by groups at their own positions."""

from isthmus.streams.declared import DeclaredGroup, DeclaredStream
from isthmus.streams.facts import (
    GroupStopped,
    LagMeasured,
    PartitionsLost,
    PartitionsTaken,
    RecordParked,
)
from isthmus.streams.group import Group
from isthmus.streams.lag import Lag
from isthmus.streams.options import GroupOptions
from isthmus.streams.recorded import Recorded
from isthmus.streams.stream import Stream

__all__ = [
    "DeclaredGroup",
    "DeclaredStream",
    "Group",
    "GroupOptions",
    "GroupStopped",
    "Lag",
    "LagMeasured",
    "PartitionsLost",
    "PartitionsTaken",
    "RecordParked",
    "Recorded",
    "Stream",
]
