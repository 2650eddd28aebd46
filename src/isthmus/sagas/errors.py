"""What a saga raises, inside of it and to those who wait for it.

IsthmusError
├── Compensate               inside: undo what was done, and end
│   └── StepFailedError      inside: a step failed for good; caught, the saga goes on
├── SagaCompensatedError     outside: it did not come about, and all of it is undone
├── SagaStuckError           outside: it waits for a person
└── NotDeterministicError    the function no longer asks for what its history has
"""

from isthmus.errors import IsthmusError

__all__ = [
    "Compensate",
    "NotDeterministicError",
    "SagaCompensatedError",
    "SagaStuckError",
    "StepFailedError",
]


class Compensate(IsthmusError):  # noqa: N818 - it is an order
    """Raised by a saga, or by one of its steps: undo all that was done, the last first, and end.

    A step that raises it says that it had no effect: it is not tried again, and not undone.
    """


class StepFailedError(Compensate):
    """A step failed for good: its retries are spent, or its error is a declared one.

    Uncaught, it has the saga compensate.
    """

    def __init__(self, step: str, reason: str, *, kind: str = "") -> None:
        super().__init__(f"step {step!r} failed: {reason}")
        self.step, self.reason = step, reason
        self.kind = kind
        """The class of the error, by its name: "CardDeclined"."""


class SagaCompensatedError(IsthmusError):
    """The saga did not come about; every step that was done, or may have been, is undone."""


class SagaStuckError(IsthmusError):
    """The saga cannot go on by itself. What is wrong is in its status; mend it, then
    `handle.resume()`."""

    def __init__(self, message: str, *, reason: str = "") -> None:
        super().__init__(message)
        self.reason = reason
        """"failed", "nondeterministic", "version missing", "compensation" or "crashing"."""


class NotDeterministicError(IsthmusError):
    """Played again, the function asks for something else than it did when it was recorded."""

    def __init__(self, position: str, *, expected: str, found: str) -> None:
        super().__init__(
            f"at {position or 'the end'} the history has {expected}, and the function asks for "
            f"{found}; guard the change by saga.patched(...), or register it as a new version"
        )
        self.position, self.expected, self.found = position, expected, found
