"""What a caller sees of a provider that did not do what was asked of it.

IsthmusError
├── ProviderError                     it answered, and nobody translated that    .cause: __cause__
│   └── ProviderUnavailableError      it cannot now; an UnavailableError, too    retryable

The application's own errors (a declined card) are its own classes, and pass as they are. So do
those of policies: NotCalledError (it never ran) and TimedOutError (it ran, perhaps).
"""

from typing import ClassVar

from isthmus.errors import IsthmusError, UnavailableError

__all__ = ["ProviderError", "ProviderUnavailableError"]


class ProviderError(IsthmusError):
    """A provider failed in a way that its implementation does not translate. What it said is
    kept as `__cause__`, for people; no program should have to look there."""

    def __init__(
        self,
        message: str,
        *,
        provider: str,
        operation: str,
        status: int | None = None,
        code: str = "",
        never_ran: bool = False,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.provider = provider
        """The implementation's class."""
        self.operation = operation
        """The method that was called."""
        self.status = status
        """Of HTTP; None if there is none."""
        self.code = code
        """What the provider calls it; "" if it does not."""
        self.never_ran = never_ran
        """Whether it is certain that the call had no effect."""
        self.retry_after = retry_after
        """Seconds that it asks to be left alone; None if it does not."""

    def __reduce__(self) -> tuple[object, ...]:
        said = ("provider", "operation", "status", "code", "never_ran", "retry_after")
        return _again, (type(self), str(self), {name: getattr(self, name) for name in said})


class ProviderUnavailableError(ProviderError, UnavailableError):
    """The provider is out of reach, overloaded, or has failed; later, the same call may succeed.
    Whether it had its effect is unknown, unless `never_ran`."""

    retryable: ClassVar[bool] = True


def _again(kind: type[ProviderError], message: str, said: dict[str, object]) -> ProviderError:
    """Make one again in the process that it was pickled for."""
    return kind(message, **said)  # pyright: ignore[reportArgumentType]
