"""`@translates`: an implementation's methods raise the application's errors."""

import functools
import inspect
from collections.abc import AsyncGenerator, Callable, Collection, Mapping
from contextlib import aclosing
from types import FunctionType
from typing import Any, NoReturn, TypeVar, cast

from isthmus.services.adapter.code import Coded
from isthmus.services.adapter.translation import Key, Ours, Translation

__all__ = ["MARK", "raise_instead", "raise_translated", "translated", "translates"]

T = TypeVar("T", bound=Callable[..., Any])

MARK = "__isthmus_translation__"
"""The attribute of a class that holds its Translation."""


def translates(
    mapping: Mapping[Key, Ours] | None = None,
    /,
    *,
    raises: Collection[type[Exception]] = (),
    code: Coded | str | None = None,
) -> Callable[[T], T]:
    """Have the public methods of a class, or one function, raise the application's errors:

        @translates({"card_declined": CardDeclined, 404: UnknownCharge})
        class Stripelike: ...

    Args:
        mapping: From the provider's errors, by status, code, (status, code), or class. Default:
            none are translated.
        raises: The application's own errors that the methods raise themselves. Default: those
            that `mapping` leads to.
        code: Where an error's code is, as "error.code" of a JSON body, or a function that finds
            it. Default: where most providers have it.

    Whatever else a provider raises becomes a ProviderError, from it. Errors of isthmus that do
    not tell of the other side pass: NotCalledError, TimedOutError, ConfigError, ConflictError.

    Raises:
        ConfigError: A key or an error cannot be used.
    """
    translation = Translation(mapping, raises=raises, code=code)

    def decorated(thing: T) -> T:
        if not isinstance(thing, type):
            return cast("T", translated(thing, translation))
        for name, value in list(vars(thing).items()):
            if isinstance(value, FunctionType) and not name.startswith("_"):
                setattr(thing, name, translated(value, translation, provider=thing.__name__))
        setattr(thing, MARK, translation)
        return cast("T", thing)

    return decorated


def translated(
    function: Callable[..., Any], translation: Translation, *, provider: str = ""
) -> Callable[..., Any]:
    """Return `function`, of any kind, with its errors translated."""
    operation = function.__name__
    said = {"provider": provider or function.__module__, "operation": operation}
    if inspect.iscoroutinefunction(function):

        async def awaited(*args: Any, **kwargs: Any) -> Any:
            try:
                return await function(*args, **kwargs)
            except Exception as error:  # noqa: BLE001
                raise_translated(translation, error, **said)

        return functools.wraps(function)(awaited)
    if inspect.isasyncgenfunction(function):

        async def yielded(*args: Any, **kwargs: Any) -> AsyncGenerator[Any]:
            try:
                async with aclosing(function(*args, **kwargs)) as items:
                    async for item in items:
                        yield item
            except Exception as error:  # noqa: BLE001
                raise_translated(translation, error, **said)

        return functools.wraps(function)(yielded)

    def called(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except Exception as error:  # noqa: BLE001
            raise_translated(translation, error, **said)

    return functools.wraps(function)(called)


def raise_translated(
    translation: Translation, error: Exception, *, provider: str, operation: str
) -> NoReturn:
    """Raise what `error` is to a caller: itself, or another from it."""
    ours = translation.of(error, provider=provider, operation=operation)
    raise_instead(ours, error)


def raise_instead(ours: Exception, error: Exception) -> NoReturn:
    """Raise `ours` from `error`, unless it is that, or is its cause, or has one already."""
    if ours is error or ours is error.__cause__ or ours.__cause__ is not None:
        raise ours
    raise ours from error
