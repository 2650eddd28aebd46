"""What flows tell: one frozen signal per observable fact, once it is committed."""

from isthmus.signals import Signal

__all__ = [
    "CompensationFailed",
    "FlowAdvanced",
    "FlowEnded",
    "FlowEventLate",
    "FlowTimedOut",
]


class _OfFlow(Signal, frozen=True, kw_only=True):
    flow: str
    """Its name, as "fulfilment"."""
    key: str


class FlowAdvanced(_OfFlow, frozen=True, kw_only=True):
    """An event of a flow was seen."""

    event: str
    message: str
    """Its id."""
    status: str
    """Of the flow, from then on."""


class FlowEventLate(_OfFlow, frozen=True, kw_only=True):
    """An event came when its time, or the flow, was over."""

    event: str
    message: str
    status: str


class FlowTimedOut(_OfFlow, frozen=True, kw_only=True):
    """An event did not come in time; what compensates is published."""

    missing: str
    compensations: tuple[str, ...]
    """The events that were published for it."""


class FlowEnded(_OfFlow, frozen=True, kw_only=True):
    status: str
    """What became of it: "completed", "failed" or "timed_out"."""
    took: float
    """Seconds since it began."""
    reason: str


class CompensationFailed(_OfFlow, frozen=True, kw_only=True):
    """A function that makes a compensation event raised; it is tried again after `delay`."""

    missing: str
    attempt: int
    delay: float
    error: str
