"""One method of one implementation, as callers get it: guarded, translated, told of."""

import functools
import inspect
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Any, NamedTuple

from isthmus.resilience.policy import Policy
from isthmus.services.adapter.facts import AdapterCalled
from isthmus.services.adapter.translates import raise_instead
from isthmus.services.adapter.translation import Translation
from isthmus.signals import Signals

__all__ = ["Way", "as_called"]


class Way(NamedTuple):
    """What is around each method of an implementation."""

    adapter: str
    provider: str
    translation: Translation
    policy: Policy | None
    signals: Signals


class _Refused(NamedTuple):
    """An error of the application's own: to a policy it is an answer, as the provider is well."""

    error: Exception


def as_called(method: Callable[..., Any], name: str, way: Way) -> Callable[..., Any]:
    """Return what calls `method`, whatever its kind."""
    policy = way.policy.for_(name) if way.policy is not None else None
    if inspect.iscoroutinefunction(method):
        return _awaited(policy(_answering(method, way)) if policy else method, name, way)
    guarded = policy(method) if policy else method
    if inspect.isasyncgenfunction(method):
        return _yielded(guarded, name, way)
    return _plain(guarded, name, way)


def _answering(method: Callable[..., Any], way: Way) -> Callable[..., Any]:
    passes = way.translation.passes

    @functools.wraps(method)
    async def answering(*args: Any, **kwargs: Any) -> Any:
        try:
            return await method(*args, **kwargs)
        except passes as error:
            return _Refused(error)

    return answering


def _awaited(guarded: Callable[..., Any], name: str, way: Way) -> Callable[..., Any]:
    async def called(*args: Any, **kwargs: Any) -> Any:
        began = _begin(way)
        try:
            result = await guarded(*args, **kwargs)
            if result.__class__ is _Refused:
                raise result.error
        except Exception as error:  # noqa: BLE001
            raise_instead(_failed(way, name, began, error), error)
        _tell(way, name, began, None)
        return result

    return called


def _yielded(guarded: Callable[..., Any], name: str, way: Way) -> Callable[..., Any]:
    async def called(*args: Any, **kwargs: Any) -> AsyncGenerator[Any]:
        began = _begin(way)
        try:
            async with aclosing(guarded(*args, **kwargs)) as items:
                async for item in items:
                    yield item
        except Exception as error:  # noqa: BLE001
            raise_instead(_failed(way, name, began, error), error)
        _tell(way, name, began, None)

    return called


def _plain(guarded: Callable[..., Any], name: str, way: Way) -> Callable[..., Any]:
    def called(*args: Any, **kwargs: Any) -> Any:
        began = _begin(way)
        try:
            result = guarded(*args, **kwargs)
        except Exception as error:  # noqa: BLE001
            raise_instead(_failed(way, name, began, error), error)
        _tell(way, name, began, None)
        return result

    return called


def _begin(way: Way) -> float:
    return time.perf_counter() if way.signals.active else 0.0


def _failed(way: Way, name: str, began: float, error: Exception) -> Exception:
    """Return what the caller gets instead."""
    ours = way.translation.of(error, provider=way.provider, operation=name)
    _tell(way, name, began, ours)
    return ours


def _tell(way: Way, name: str, began: float, error: Exception | None) -> None:
    if began and way.signals.wanted(AdapterCalled):
        way.signals.emit(
            AdapterCalled(
                adapter=way.adapter,
                provider=way.provider,
                operation=name,
                error="" if error is None else type(error).__name__,
                took=time.perf_counter() - began,
            )
        )
