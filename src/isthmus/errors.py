"""Every error that crosses a border, sorted by what its reader can do.

IsthmusError                 .retryable: would the same call, later, make sense?
├── ConfigError              fix the code or the configuration
├── UnsupportedError         this engine cannot; the message names one that can
├── NotFoundError            declare it first
├── ConflictError            someone else was first: read again, decide     .subject
├── LeaseLostError           no longer yours: drop the result               .lost
├── UnavailableError         out of reach now, try later                    retryable
│   ├── FullError            no room: disk, quota or a bounded queue        retryable
│   └── LockedError          another writer holds the database              retryable
├── CorruptedError           stored bytes are damaged: restore from a copy
├── StatementError           the database refused your SQL; only it is undone
├── SchemaError              these bytes are not that type                  .problems
└── TimedOutError            it ran, perhaps; its effect may have happened  retryable

Rooms add their own below these. A driver's error never escapes: it is the
`__cause__` of one of ours.
"""

from collections.abc import Sequence
from typing import ClassVar

__all__ = [
    "ConfigError",
    "ConflictError",
    "CorruptedError",
    "FullError",
    "IsthmusError",
    "LeaseLostError",
    "LockedError",
    "NotFoundError",
    "SchemaError",
    "StatementError",
    "TimedOutError",
    "UnavailableError",
    "UnsupportedError",
]


class IsthmusError(Exception):
    """Root of all; catch it to catch everything isthmus raises."""

    retryable: ClassVar[bool] = False


class ConfigError(IsthmusError):
    """The program or its configuration is wrong; running it again won't help."""


class UnsupportedError(IsthmusError):
    """The engine lacks a capability; nothing was done."""


class NotFoundError(IsthmusError):
    """The name was never declared."""


class ConflictError(IsthmusError):
    """What the caller saw has changed since; nothing was written."""

    def __init__(self, message: str, *, subject: str = "") -> None:
        super().__init__(message)
        self.subject = subject
        """What changed: "space/key", "log/key", or "read" for a statement's answer."""


class LeaseLostError(IsthmusError):
    """A lease ran out and another may hold it now; the caller's result is void."""

    def __init__(self, lost: Sequence[object], *, what: str = "lease") -> None:
        lost = tuple(dict.fromkeys(lost))
        super().__init__(f"{what} lost: {', '.join(map(str, lost[:5]))}{'...' * (len(lost) > 5)}")
        self.lost = lost
        """The receipts, or partitions, that are no longer the caller's, each once; where a
        transaction settled several times, at least those of the first that was refused."""
        self._what = what

    def __reduce__(self) -> tuple[object, ...]:
        return _lease_lost, (self.lost, self._what)


def _lease_lost(lost: Sequence[object], what: str) -> LeaseLostError:
    """Make one again in the process that it was pickled for."""
    return LeaseLostError(lost, what=what)


class UnavailableError(IsthmusError):
    """The system behind is out of reach; whether a write happened is unknown."""

    retryable: ClassVar[bool] = True


class FullError(UnavailableError):
    """There is no room for it; nothing was written."""


class LockedError(UnavailableError):
    """Another writer held the database for too long; nothing was written."""


class CorruptedError(IsthmusError):
    """The stored bytes are damaged; the engine stops rather than guess."""


class StatementError(IsthmusError):
    """The database refused a statement of the user's; the rest stands."""


class SchemaError(IsthmusError):
    """A payload does not fit its schema, or its schema is unknown here."""

    def __init__(self, message: str, *, problems: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.problems = tuple(problems)
        """Each fault as "path: what is wrong", as far as the model library tells."""


class TimedOutError(IsthmusError):
    """Time is over; the call may have had its effect."""

    retryable: ClassVar[bool] = True
