"""What sagas tell: one frozen signal per observable fact, once it is committed."""

from isthmus.signals import Signal

__all__ = [
    "SagaCompensating",
    "SagaEnded",
    "SagaResumed",
    "SagaStarted",
    "SagaStuck",
    "StepDone",
    "StepFailed",
    "StepRetried",
    "StepUndone",
]


class _OfSaga(Signal, frozen=True, kw_only=True):
    saga: str
    """Its name, as "fulfil"."""
    id: str


class SagaStarted(_OfSaga, frozen=True, kw_only=True):
    """A saga was driven for the first time."""


class StepDone(_OfSaga, frozen=True, kw_only=True):
    step: str


class StepRetried(_OfSaga, frozen=True, kw_only=True):
    """An attempt at a step failed; another follows after `delay` seconds."""

    step: str
    attempt: int
    delay: float
    error: str


class StepFailed(_OfSaga, frozen=True, kw_only=True):
    """A step failed for good."""

    step: str
    error: str


class SagaCompensating(_OfSaga, frozen=True, kw_only=True):
    """A saga began to undo what it had done."""

    why: str


class StepUndone(_OfSaga, frozen=True, kw_only=True):
    step: str


class SagaStuck(_OfSaga, frozen=True, kw_only=True):
    """A saga cannot go on by itself."""

    reason: str
    detail: str


class SagaResumed(_OfSaga, frozen=True, kw_only=True):
    """Somebody had a stuck saga try again."""


class SagaEnded(_OfSaga, frozen=True, kw_only=True):
    status: str
    """What became of it: "completed" or "compensated"."""
    took: float
    """Seconds since it was started."""
