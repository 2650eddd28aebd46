"""A function that gives a value, and may take it back when it is no longer needed."""

import contextlib
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import AbstractAsyncContextManager, AbstractContextManager, AsyncExitStack
from typing import Any, cast

from isthmus.handling.calling.inject import Call, Plan
from isthmus.handling.calling.signature import Signature
from isthmus.handling.threads import Threads

__all__ = ["Provider"]


class Provider:
    """A function of any kind: `async def` runs on the loop, `def` in a thread; what follows
    the `yield` of a generator runs when the value is given back."""

    def __init__(self, function: Callable[..., Any], signature: Signature, plan: Plan) -> None:
        self._function, self._signature, self._plan = function, signature, plan

    async def open(self, call: Call, into: AsyncExitStack) -> Any:
        """Return the value; `into` takes over how it is given back."""
        by_place, by_name = await self._plan.arguments(call)
        if self._signature.is_async_generator:
            made = self._function(*by_place, **by_name)
            return await into.enter_async_context(_asynchronous(made))
        if self._signature.is_async:
            return await self._function(*by_place, **by_name)
        threads = call.host.threads
        made = await threads.run(self._function, *by_place, **by_name)
        if self._signature.is_generator:
            return await into.enter_async_context(_in_threads(_synchronous(made), threads))
        return made


def _asynchronous(made: Any) -> AbstractAsyncContextManager[Any]:
    """Return a generator as the context manager that it may be already, by a decorator."""
    if isinstance(made, AbstractAsyncContextManager):
        return cast("AbstractAsyncContextManager[Any]", made)
    generator = cast("AsyncGenerator[Any]", made)
    return contextlib.asynccontextmanager(lambda: generator)()


def _synchronous(made: Any) -> AbstractContextManager[Any]:
    if isinstance(made, AbstractContextManager):
        return cast("AbstractContextManager[Any]", made)
    generator = cast("Generator[Any]", made)
    return contextlib.contextmanager(lambda: generator)()


@contextlib.asynccontextmanager
async def _in_threads(
    manager: AbstractContextManager[Any], threads: Threads
) -> AsyncGenerator[Any]:
    value = await threads.run(manager.__enter__)
    try:
        yield value
    except BaseException as error:
        if not await threads.run(manager.__exit__, type(error), error, error.__traceback__):
            raise
    else:
        await threads.run(manager.__exit__, None, None, None)
