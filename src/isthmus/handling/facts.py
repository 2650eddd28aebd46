"""What the runtime tells: one frozen signal per observable fact."""

from isthmus.signals import Signal

__all__ = [
    "ConsumerPaused",
    "ConsumerResumed",
    "ConsumerStalled",
    "DuplicateSkipped",
    "HandlerConflicted",
    "HandlerSucceeded",
    "HandlerTimedOut",
    "LeaseLost",
    "MessageBuried",
    "MessageRetried",
    "RequestRefused",
    "ScheduleDue",
    "WorkerCut",
    "WorkerFailed",
]


class _Of(Signal, frozen=True, kw_only=True):
    address: str
    """The subscription, as "orders" or "order-accepted/mail"."""
    message: str
    """The message's id."""


class HandlerSucceeded(_Of, frozen=True, kw_only=True):
    """A message was handled, and that is committed."""

    attempt: int


class DuplicateSkipped(_Of, frozen=True, kw_only=True):
    """A message came again that was handled before."""


class HandlerConflicted(_Of, frozen=True, kw_only=True):
    """What a handler read had changed; it is run again at once, uncounted."""


class MessageRetried(_Of, frozen=True, kw_only=True):
    """A handler failed; the message comes back after `delay` seconds."""

    attempt: int
    delay: float
    error: str


class HandlerTimedOut(_Of, frozen=True, kw_only=True):
    """A handler did not return in its time, and was cancelled."""

    timeout: float


class RequestRefused(_Of, frozen=True, kw_only=True):
    """A handler's answer to a request was a Refusal: what it wrote is undone."""

    code: str


class MessageBuried(_Of, frozen=True, kw_only=True):
    """A message became a dead letter."""

    reason: str


class LeaseLost(_Of, frozen=True, kw_only=True):
    """A message went to another while it was handled here; the result was dropped."""


class ConsumerStalled(Signal, frozen=True, kw_only=True):
    """The engine is out of reach; the consumer waits and tries again."""

    address: str
    error: str


class ConsumerPaused(Signal, frozen=True, kw_only=True):
    """A circuit that a handler needs is open: nothing is begun, but for a probe now and then."""

    address: str
    policy: str
    """The policy that refused; "" if it has no name."""
    retry_after: float
    """Seconds until the first probe."""
    error: str


class ConsumerResumed(Signal, frozen=True, kw_only=True):
    """A probe came through; the consumer takes as much as before."""

    address: str
    after: float
    """Seconds that the pause lasted."""


class WorkerFailed(Signal, frozen=True, kw_only=True):
    """A worker raised; its process is drained, and ends with the error."""

    name: str
    error: str


class WorkerCut(Signal, frozen=True, kw_only=True):
    """A worker was not done when the time to drain was over, and was cancelled."""

    name: str


class ScheduleDue(Signal, frozen=True, kw_only=True):
    """A schedule was due, and its tick is sent; the queue `isthmus.schedule.<name>` has it."""

    name: str
    due_at: float
