"""How a flow is, told to who asks: one account of what happened in all the services."""

from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

__all__ = ["ENDED", "Branch", "FlowStatus", "Seen", "Status", "tree"]

Status = Literal["early", "running", "compensating", "completed", "failed", "timed_out"]
"""`early`: something of it came before what begins it, which is missing so far."""

ENDED: frozenset[Status] = frozenset(("completed", "failed", "timed_out"))


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """One event of a flow, as it was seen."""

    event: str
    """As it is declared: the topic's name, or the type's."""
    id: str
    type: str
    at: float
    """When it was made, by the clock of who did: Unix seconds."""
    seen_at: float
    """When the flow saw it."""
    source: str
    """The service that published it."""
    causation: str
    """The id of the message or request in whose handling it was made; "" if in none."""
    follows: tuple[str, ...] = ()
    """The events that it is declared to follow."""
    late: bool = False
    """It came when its time, or the flow, was over."""
    compensates: bool = False
    """The flow published it, for one that was missing."""


class Branch(msgspec.Struct, frozen=True, kw_only=True):
    """An event, and what followed from it."""

    seen: Seen
    caused: bool
    """Whether its cause is the event above; if not, it is only declared to follow that."""
    then: Sequence["Branch"] = ()


class FlowStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One flow of a key."""

    flow: str
    key: str
    status: Status
    correlation: str
    """What its events belong to; of the one that began it."""
    begun_at: float = 0.0
    """Unix seconds; 0 if it has not begun."""
    changed_at: float = 0.0
    ended_at: float = 0.0
    """0 until it has ended."""
    waits_for: Mapping[str, float] = {}
    """What it waits for, and until when."""
    missed: Sequence[str] = ()
    """What did not come in time."""
    reason: str = ""
    """Why it failed, or timed out."""
    timeline: Sequence[Seen] = ()
    """All that was seen of it, by the time it was made."""
    dropped: int = 0
    """Repeated events beyond the first 200, which are not in the timeline."""

    @property
    def tree(self) -> Sequence[Branch]:
        """The timeline by what caused what; more than one branch, if causes were not seen."""
        return tree(self.timeline)


def tree(timeline: Sequence[Seen]) -> Sequence[Branch]:
    """Return the events that nothing here caused, each with what followed from it."""
    above = {each.id: _above(each, timeline) for each in timeline}
    below: dict[str, list[Seen]] = {}
    for each in timeline:
        parent = above[each.id]
        if parent is not None and _leads_to_itself(each, above):
            parent = above[each.id] = None
        below.setdefault(parent.id if parent else "", []).append(each)
    return _branches("", below)


def _branches(parent: str, below: Mapping[str, Sequence[Seen]]) -> Sequence[Branch]:
    return [
        Branch(seen=each, caused=each.causation == parent, then=_branches(each.id, below))
        for each in below.get(parent, ())
    ]


def _above(seen: Seen, timeline: Sequence[Seen]) -> Seen | None:
    """Return its cause; where that is none of the flow's events, what it is declared to follow."""
    for each in timeline:
        if each.id == seen.causation != seen.id:
            return each
    for each in timeline:
        if each.event in seen.follows and each.id != seen.id:
            return each
    return None


def _leads_to_itself(seen: Seen, above: Mapping[str, Seen | None]) -> bool:
    passed, at = {seen.id}, above[seen.id]
    while at is not None:
        if at.id in passed:
            return True
        passed.add(at.id)
        at = above.get(at.id)
    return False
