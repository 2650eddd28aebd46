"""What guarding means for each shape of function: what is called, and what its user gets.

A policy guards a call that ends with an answer. Of a generator that is the way to its first
item, of a context manager its entering: what comes later was handed out, and can't be tried
again; nor does a bulkhead count it.
"""

import contextlib
import inspect
from collections.abc import AsyncGenerator, Callable, Generator
from functools import partial, update_wrapper
from types import CodeType, FunctionType, TracebackType
from typing import Any, cast

__all__ = ["guard", "is_async", "is_opening", "opens"]

Bind = Callable[..., Callable[..., Any]]
"""Given a function and whether it is async, what returns it guarded."""


def is_async(fn: Callable[..., Any]) -> bool:
    """Return whether a call of `fn` is to be awaited."""
    return inspect.iscoroutinefunction(fn) or inspect.iscoroutinefunction(type(fn).__call__)


OPENING = "isthmus_opening"
"""Attribute of a function that returns something opened, which somebody has to close."""

_GENERATOR = inspect.CO_GENERATOR | inspect.CO_ASYNC_GENERATOR


@contextlib.contextmanager
def _a_context() -> Generator[None]:
    yield


@contextlib.asynccontextmanager
async def _an_async_context() -> AsyncGenerator[None]:
    yield


_CONTEXT, _ASYNC_CONTEXT = (cast("Any", made).__code__ for made in (_a_context, _an_async_context))
"""The code that contextlib gives to all that its decorators make."""


def opens(fn: Callable[..., Any]) -> bool:
    """Return whether calling `fn` makes a generator, or a context manager of contextlib."""
    code = _code_of(fn)
    if code is None:
        return False
    return bool(code.co_flags & _GENERATOR) or code is _CONTEXT or code is _ASYNC_CONTEXT


def _code_of(fn: Callable[..., Any]) -> CodeType | None:
    while isinstance(fn, partial):
        fn = fn.func
    return getattr(fn, "__code__", None)


def is_opening(fn: Callable[..., Any]) -> bool:
    """Return whether it is the way to a first item, or the entering, of what `fn` guards."""
    return isinstance(fn, FunctionType) and OPENING in fn.__dict__


def guard(fn: Callable[..., Any], bind: Bind) -> Callable[..., Any]:
    """Return `fn` guarded, of the same shape, name and signature."""
    if inspect.isasyncgenfunction(fn):
        guarded = _async_generator(fn, bind)
    elif inspect.isgeneratorfunction(fn):
        guarded = _generator(fn, bind)
    elif _code_of(fn) is _CONTEXT:
        guarded = _context(fn, bind)
    elif _code_of(fn) is _ASYNC_CONTEXT:
        guarded = _async_context(fn, bind)
    else:
        guarded = bind(fn, is_async(fn))
    return guarded if guarded is fn else update_wrapper(guarded, fn)


def _async_generator(fn: Callable[..., Any], bind: Bind) -> Callable[..., Any]:
    async def open_(*args: Any, **kwargs: Any) -> Any:
        items = fn(*args, **kwargs)
        try:
            return items, await anext(items)
        except StopAsyncIteration:
            return None, None

    opened = bind(_named(open_, fn), True)

    async def guarded(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        items, item = await opened(*args, **kwargs)
        if items is None:
            return
        async with contextlib.aclosing(items):
            while True:
                try:
                    sent: Any = yield item
                except GeneratorExit:
                    raise
                except BaseException as error:  # noqa: BLE001
                    step = items.athrow(error)
                else:
                    step = items.asend(sent)
                try:
                    item = await step
                except StopAsyncIteration:
                    return

    return guarded


def _generator(fn: Callable[..., Any], bind: Bind) -> Callable[..., Any]:
    def open_(*args: Any, **kwargs: Any) -> Any:
        items = fn(*args, **kwargs)
        try:
            return items, next(items)
        except StopIteration as end:
            return None, end.value

    opened = bind(_named(open_, fn), False)

    def guarded(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        items, item = opened(*args, **kwargs)
        if items is None:
            return item
        with contextlib.closing(items):
            while True:
                try:
                    sent: Any = yield item
                except GeneratorExit:
                    raise
                except BaseException as error:  # noqa: BLE001
                    step = partial(items.throw, error)
                else:
                    step = partial(items.send, sent)
                try:
                    item = step()
                except StopIteration as end:
                    return end.value

    return guarded


def _async_context(fn: Callable[..., Any], bind: Bind) -> Callable[..., Any]:
    async def enter(*args: Any, **kwargs: Any) -> Any:
        manager = fn(*args, **kwargs)
        return manager, await manager.__aenter__()

    entered = bind(_named(enter, fn), True)
    return lambda *args, **kwargs: _AsyncEntering(entered, args, kwargs)


def _context(fn: Callable[..., Any], bind: Bind) -> Callable[..., Any]:
    def enter(*args: Any, **kwargs: Any) -> Any:
        manager = fn(*args, **kwargs)
        return manager, manager.__enter__()

    entered = bind(_named(enter, fn), False)
    return lambda *args, **kwargs: _Entering(entered, args, kwargs)


class _AsyncEntering(contextlib.AsyncContextDecorator):
    def __init__(self, entered: Callable[..., Any], args: Any, kwargs: dict[str, Any]) -> None:
        self._entered, self._args, self._kwargs = entered, args, kwargs
        self._manager: Any = None

    async def __aenter__(self) -> Any:
        self._manager, value = await self._entered(*self._args, **self._kwargs)
        return value

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> Any:
        return await self._manager.__aexit__(kind, error, trace)


class _Entering(contextlib.ContextDecorator):
    def __init__(self, entered: Callable[..., Any], args: Any, kwargs: dict[str, Any]) -> None:
        self._entered, self._args, self._kwargs = entered, args, kwargs
        self._manager: Any = None

    def __enter__(self) -> Any:
        self._manager, value = self._entered(*self._args, **self._kwargs)
        return value

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> Any:
        return self._manager.__exit__(kind, error, trace)


def _named(opening: Callable[..., Any], fn: Callable[..., Any]) -> Callable[..., Any]:
    opening.__name__ = getattr(fn, "__name__", opening.__name__)
    setattr(opening, OPENING, True)
    return opening
