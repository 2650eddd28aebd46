"""What streams tell: one frozen signal per observable fact."""

from collections.abc import Sequence

from isthmus.signals import Signal

__all__ = ["GroupStopped", "LagMeasured", "PartitionsLost", "PartitionsTaken", "RecordParked"]


class PartitionsTaken(Signal, frozen=True, kw_only=True):
    """This process reads these partitions from now on."""

    address: str
    """The group, as "ledger/balances"."""
    partitions: Sequence[int]


class PartitionsLost(Signal, frozen=True, kw_only=True):
    """Others have these partitions; what was handled of them here was dropped."""

    address: str
    partitions: Sequence[int]


class RecordParked(Signal, frozen=True, kw_only=True):
    """A record left the stream's way, to be handled later, in the order of its key."""

    address: str
    message: str
    key: str
    error: str
    """What failed; "" if it only follows one that did."""


class GroupStopped(Signal, frozen=True, kw_only=True):
    """A record failed for the last time, and `on_error="stop"`: this process reads no more."""

    address: str
    error: str


class LagMeasured(Signal, frozen=True, kw_only=True):
    """How far a group is behind in one partition that this process reads."""

    address: str
    partition: int
    behind: int
    """Records between the group's position and the end; fewer if there are gaps."""
