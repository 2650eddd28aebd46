"""The doors of an App for code that blocks."""

import asyncio
import inspect
import os
import threading
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Coroutine,
    Generator,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import contextmanager
from types import TracebackType
from typing import Any, ParamSpec, Protocol, Self, TypeVar

from isthmus.clock import Span
from isthmus.contracts import Transaction
from isthmus.errors import ConfigError
from isthmus.handling.calling.sync_transaction import SyncTransaction
from isthmus.handling.declarations import Declarations
from isthmus.handling.host import Host
from isthmus.handling.sync.blocking import Submit, blocking
from isthmus.handling.sync.lending import is_begun, lent
from isthmus.handling.sync.loop import LoopThread, at_end
from isthmus.handling.threads import submitting
from isthmus.handling.unit import Unit, current

__all__ = ["SyncApp"]

T = TypeVar("T")
V_contra = TypeVar("V_contra", contravariant=True)
P = ParamSpec("P")


class _Sends(Protocol[P]):
    @property
    def send(self) -> Callable[P, Awaitable[str]]: ...


class _Publishes(Protocol[P]):
    @property
    def publish(self) -> Callable[P, Awaitable[str]]: ...


class _Appends(Protocol[P]):
    @property
    def append(self) -> Callable[P, Awaitable[Sequence[str]]]: ...


class _Asks(Protocol[V_contra]):
    def request(
        self,
        value: V_contra,
        *,
        result: type[T],
        timeout: Span = ...,
        id: str | None = ...,
        headers: Mapping[str, str] | None = ...,
    ) -> Awaitable[T]: ...


class SyncApp:
    """An App whose calls block. Made by `app.sync()`, one for each App; safe from many threads.

    It is opened by its first use in a process, on a loop in a thread of its own; or uses the
    loop on which the App runs already. In a `def` handler, what it sends is part of the
    handler's transaction. Open it after a fork, not before: what is open cannot be shared.
    """

    def __init__(
        self,
        declared: Declarations,
        *,
        open: Callable[[], Coroutine[Any, Any, object]],
        close: Callable[[], Coroutine[Any, Any, None]],
    ) -> None:
        """`open` and `close`: the App's, run on our loop."""
        self._declared, self._open_app, self._close_app = declared, open, close
        self._lock = threading.Lock()
        self._own: LoopThread | None = None
        self._pid = 0
        self._closed = self._ending = False

    # --- life -------------------------------------------------------------------------------

    def open(self) -> Self:
        """Open the App, unless it is open; after a `close`, again.

        Raises:
            ConfigError: It is open, and was when this process was forked.
            UnavailableError: An engine is out of reach.
        """
        self._closed = False
        self._host()
        return self

    def close(self) -> None:
        """Close what this opened; twice is once. What still runs is cut off. Done at the end
        of the process, too."""
        self._closed = True
        with self._lock:
            own, self._own = self._own, None
        if own is None or self._pid != os.getpid():
            return
        own.run(self._close_app())
        own.close()

    def __enter__(self) -> Self:
        return self.open()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    # --- calling ----------------------------------------------------------------------------

    def call(self, function: Callable[P, Awaitable[T]], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Return what a coroutine function of isthmus returns: `call(orders.stats)`. Inside
        `transaction` or `join` it is part of that; deadlines and traces in force go along.

        Raises:
            ConfigError: It would block the loop that it needs: there, `await`. Or it was called
                already: `call(orders.stats())`.
            TimedOutError: The App was closed meanwhile; it ran, perhaps.
        """
        if not callable(function):
            raise _called_already(function)
        return blocking(self._submit(), _called(function, *args, **kwargs))

    def send(self, queue: _Sends[P], /, *args: P.args, **kwargs: P.kwargs) -> str:
        """Send a message into a queue, as `Queue.send` does; return its id."""
        return self.call(queue.send, *args, **kwargs)

    def publish(self, topic: _Publishes[P], /, *args: P.args, **kwargs: P.kwargs) -> str:
        """Publish an event on a topic, as `Topic.publish` does; return its id."""
        return self.call(topic.publish, *args, **kwargs)

    def append(self, stream: _Appends[P], /, *args: P.args, **kwargs: P.kwargs) -> Sequence[str]:
        """Append records to a stream, as `Stream.append` does; return their ids."""
        return self.call(stream.append, *args, **kwargs)

    def request(
        self,
        queue: _Asks[V_contra],
        value: V_contra,
        /,
        *,
        result: type[T],
        timeout: Span = 5.0,
        id: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> T:
        """Ask by a message and return the answer, as `Queue.request` does."""
        return self.call(
            queue.request, value, result=result, timeout=timeout, id=id, headers=headers
        )

    def iterate(self, values: AsyncIterator[T]) -> Iterator[T]:
        """Yield what an asynchronous iterator does: `iterate(ledger.read())`."""
        try:
            while True:
                yield self.call(_next, values)
        except StopAsyncIteration:
            return
        finally:
            self.call(_end, values)

    # --- transactions -----------------------------------------------------------------------

    @contextmanager
    def transaction(self) -> Generator[SyncTransaction]:
        """Make everything inside one transaction, in this thread: rows, messages, records.

        Raises:
            ConflictError: What it read has changed; nothing was written, run it again.
        """
        handler = current.get()
        unit = Unit(self._host().store, batch=handler.batch if handler else ())
        with self._within(unit, self.call(_begun, unit)) as tx:
            yield tx

    @contextmanager
    def join(self, connection: object) -> Generator[SyncTransaction]:
        """Make what isthmus does inside part of a transaction that you hold, in this thread:
        Django's `connection` in `transaction.atomic()`, a `sqlite3.Connection`, a SQLAlchemy
        connection or session, on the store's own database. See `App.join`.

        Raises:
            UnsupportedError: It is of another database.
            ConfigError: Nothing would commit what is done in it; or it has begun, and the App
                is not open yet: to open it may need what the transaction holds.
        """
        handler, borrowed = current.get(), lent(connection)
        if self._declared.opened is None and is_begun(connection):
            raise ConfigError(
                f"{self._declared.name!r} is not open, and cannot be opened beside a transaction "
                "that has begun: open() it before; in Django, with the signal request_started"
            )
        unit = Unit(self._host().store, batch=handler.batch if handler else ())
        tx = unit.tx = self.call(_adopted, unit, borrowed)
        with self._within(unit, tx) as sync:
            yield sync
            if handler is not None and handler.seal is not None:
                self.call(handler.seal, handler, tx)
                handler.sealed = True

    @contextmanager
    def _within(self, unit: Unit, tx: Transaction) -> Generator[SyncTransaction]:
        token = current.set(unit)
        try:
            yield SyncTransaction(tx, wait=self._wait)
        except BaseException as error:
            self.call(tx.__aexit__, type(error), error, error.__traceback__)
            raise
        else:
            self.call(tx.__aexit__, None, None, None)
        finally:
            current.reset(token)

    # --- the loop ---------------------------------------------------------------------------

    def _wait(self, awaitable: Awaitable[T]) -> T:
        return blocking(self._submit(), awaitable)

    def _submit(self) -> Submit:
        """Return what leads to the loop: of the handler that runs in this thread, or ours."""
        if (of_handler := submitting()) is not None:
            return of_handler
        loop, own = self._host().loop, self._own
        if loop is _running_loop():
            raise ConfigError("a call that blocks would stop the loop it waits for; use `await`")
        if own is not None:
            return lambda awaitable: own.submit(_awaited(awaitable))
        return lambda awaitable: asyncio.run_coroutine_threadsafe(_awaited(awaitable), loop)

    def _host(self) -> Host:
        host = self._declared.opened or self._opened()
        if host.pid != os.getpid():
            raise ConfigError(
                f"{self._declared.name!r} was opened in process {host.pid}, and this one was "
                "forked from it: connections cannot be shared. Leave opening to the first use "
                "after the fork, or close() it before"
            )
        return host

    def _opened(self) -> Host:
        with self._lock:
            if (host := self._declared.opened) is not None:
                return host
            if self._closed:
                raise ConfigError(f"{self._declared.name!r} was closed; open() it again")
            own = LoopThread(self._declared.name)
            try:
                own.run(self._open_app())
            except BaseException:
                own.close()
                raise
            self._own, self._pid = own, os.getpid()
            if not self._ending:
                self._ending = True
                at_end(self.close)
            return self._declared.host


async def _called(function: Callable[P, Awaitable[T]], /, *args: P.args, **kwargs: P.kwargs) -> T:
    return await function(*args, **kwargs)


def _called_already(made: object) -> ConfigError:
    """Return what to say of a coroutine that stands where its function should."""
    if inspect.iscoroutine(made):
        made.close()
    name = getattr(made, "__name__", type(made).__name__)
    return ConfigError(
        f"call(...{name}()): give the function, and its arguments after it: call(...{name})"
    )


async def _awaited(awaitable: Awaitable[T]) -> T:
    return await awaitable


async def _begun(unit: Unit) -> Transaction:
    return await unit.begin().__aenter__()


async def _adopted(unit: Unit, connection: object) -> Transaction:
    return await unit.store.adopt(connection).__aenter__()


async def _next(values: AsyncIterator[T]) -> T:
    return await anext(values)


async def _end(values: AsyncIterator[Any]) -> None:
    if (aclose := getattr(values, "aclose", None)) is not None:
        await aclose()


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
