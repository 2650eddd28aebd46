"""A provider's errors become the application's, or a ProviderError: nobody else need know them."""

import inspect
from collections.abc import Callable, Collection, Mapping
from typing import Any, TypeGuard, cast

from isthmus.errors import ConfigError, IsthmusError
from isthmus.resilience.classify import never_ran, retry_after, status_of, transient
from isthmus.resilience.errors import NotCalledError, RetriesSpentError
from isthmus.services.adapter.code import Coded, code_of, coded_at
from isthmus.services.adapter.errors import ProviderError, ProviderUnavailableError

__all__ = ["Key", "Ours", "Translation"]

Key = int | str | tuple[int, str] | type[Exception]
"""An HTTP status, a code, both, or a class of errors."""
Ours = type[Exception] | Callable[[Any], Exception]
"""A class, which is made of a line of text, or a function of the provider's error."""

SAID = 200
"""Characters of a provider's error that ours repeats."""

PROVIDERS = "isthmus.services."
"""Where errors of isthmus are defined that tell of the other side of a call."""


class Translation:
    """What becomes of a provider's errors. The most special key counts: a class of errors, then
    status and code, then the code, then the status."""

    def __init__(
        self,
        mapping: Mapping[Key, Ours] | None = None,
        *,
        raises: Collection[type[Exception]] = (),
        code: Coded | str | None = None,
    ) -> None:
        """`raises`: the application's own errors, which pass, beside those that `mapping` leads
        to. `code`: where the code is, as "error.code", or a function that finds it.

        Raises:
            ConfigError: A key or an error cannot be used.
        """
        self._mapping = dict(mapping or {})
        for key, ours in self._mapping.items():
            _refuse_unless_usable(key, ours)
        targets = (ours for ours in self._mapping.values() if isinstance(ours, type))
        self.passes: tuple[type[Exception], ...] = tuple(dict.fromkeys([*raises, *targets]))
        """Errors that are the application's own."""
        self._code = coded_at(code) if isinstance(code, str) else code or code_of

    def also(self, raises: Collection[type[Exception]]) -> "Translation":
        """Return one that lets these pass, too."""
        return Translation(self._mapping, raises=[*self.passes, *raises], code=self._code)

    def of(self, error: Exception, *, provider: str, operation: str) -> Exception:
        """Return what `error` is to a caller; itself, if it may pass."""
        spent = isinstance(error, RetriesSpentError)
        cause = error.__cause__ if spent and isinstance(error.__cause__, Exception) else error
        if isinstance(cause, self.passes):
            return cause
        if isinstance(cause, AssertionError | NotCalledError | ProviderError):
            return error
        code = self._code(cause)
        if (ours := self._ours(cause, code)) is not None:
            return _made(ours, cause, _told(cause, provider, operation, code))
        if not spent and isinstance(error, IsthmusError) and not _tells_of_provider(error):
            return error
        return _unforeseen(error, cause, provider, operation, code)

    def _ours(self, cause: Exception, code: str) -> Ours | None:
        for kind in type(cause).__mro__:
            if kind in self._mapping:
                return self._mapping[cast("Key", kind)]
        status = status_of(cause)
        for key in ((status, code), code, status):
            if key in self._mapping:
                return self._mapping[cast("Key", key)]
        return None


def _refuse_unless_usable(key: Any, ours: Any) -> None:
    is_pair = isinstance(key, tuple) and [type(each) for each in _parts(key)] == [int, str]
    if not (is_pair or _is_error(key) or isinstance(key, int | str)):
        raise ConfigError(
            f"translates({{{key!r}: ...}}): expected a status (402), a code ('card_declined'), "
            "both as (402, 'card_declined'), or a class of errors"
        )
    if not _is_error(ours) and (inspect.isclass(ours) or not callable(ours)):
        raise ConfigError(f"translates({{{key!r}: {ours!r}}}): expected an error of your own")
    if _is_error(ours) and not _takes_text(ours):
        name = ours.__name__
        raise ConfigError(
            f"translates({{{key!r}: {name}}}): it cannot be made of a text alone; give a function "
            f"of the provider's error, as lambda error: {name}(...)"
        )


def _parts(key: Any) -> tuple[Any, ...]:
    return key


def _is_error(thing: Any) -> TypeGuard[type[Exception]]:
    return inspect.isclass(thing) and issubclass(thing, Exception)


def _takes_text(kind: type[Exception]) -> bool:
    try:
        inspect.signature(kind).bind("text")
    except TypeError:
        return False
    except ValueError:  # of a class in C, which takes anything
        return True
    return True


def _made(ours: Ours, cause: Exception, text: str) -> Exception:
    return ours(text) if isinstance(ours, type) else ours(cause)


def _tells_of_provider(error: Exception) -> bool:
    return type(error).__module__.startswith(PROVIDERS)


def _told(cause: Exception, provider: str, operation: str, code: str) -> str:
    """Say it without the provider's words, which may be of customers."""
    status = status_of(cause)
    said = " ".join(str(each) for each in (status, code) if each) or type(cause).__name__
    return f"{provider}: {operation}: {said}"


def _unforeseen(
    error: Exception, cause: Exception, provider: str, operation: str, code: str
) -> ProviderError:
    status = status_of(cause)
    said = " ".join(str(cause).split())[:SAID]
    kind = ProviderUnavailableError if transient(cause) else ProviderError
    made = kind(
        f"{provider}: {operation} failed: {type(cause).__name__}: {said}".rstrip(": "),
        provider=provider,
        operation=operation,
        status=status if isinstance(status, int) else None,
        code=code,
        never_ran=never_ran(cause) and error is cause,
        retry_after=retry_after(cause),
    )
    if error is not cause:  # it was retried inside: who waits outside shall not multiply that
        vars(made)["retryable"] = False
    return made
