"""A thread that serves, in batches, what one event loop submits."""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Generic, TypeVar

from isthmus.engines.sqlite.processes.home import Home
from isthmus.errors import IsthmusError, UnavailableError

__all__ = ["Result", "Worker"]

Job = TypeVar("Job", bound=tuple[Any, ...])
Result = tuple[asyncio.Future[Any], Any, BaseException | None]
"""A future, with what it shall answer or raise."""

_MOST = 4096
"""Jobs in one batch."""

_LONGEST_END = 30.0
"""A thread that hangs in the system for longer than so many seconds is left behind."""


class Worker(Generic[Job]):
    """Jobs submitted in one turn of the loop are served together; each is a tuple
    that begins with the future of who waits for it.

    The hot path takes no lock: appending to a deque is atomic, and the thread
    is kicked, at the end of the turn, only if it sleeps.
    """

    def __init__(
        self,
        name: str,
        *,
        home: Home,
        serve: Callable[[Sequence[Job]], None],
    ) -> None:
        self._home, self._serve = home, serve
        self._jobs: deque[Job] = deque()
        self._kicked = threading.Lock()
        self._kicked.acquire()
        self._idle = True
        self._busy_since: float | None = None
        self._closing = False
        self._refusal: IsthmusError | None = None
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    @property
    def busy_for(self) -> float:
        """Seconds that it has been at the same batch."""
        since = self._busy_since
        return 0.0 if since is None else time.monotonic() - since

    # --- the loop's side

    def submit(self, *what: Any) -> asyncio.Future[Any]:
        """Have this done, whatever else a job consists of; return the future of its answer."""
        future = self._home.future()
        if self._refusal is not None:
            raise type(self._refusal)(str(self._refusal))
        self._jobs.append((future, *what))  # type: ignore[arg-type]
        if self._idle:
            self._idle = False
            self._home.soon(self.kick)
        return future

    def kick(self) -> None:
        """Wake the thread, if it sleeps."""
        with suppress(RuntimeError):  # it is awake already
            self._kicked.release()

    def withdraw(self) -> list[Job]:
        """Return what waits, which then is not served."""
        jobs: list[Job] = []
        with suppress(IndexError):
            while True:
                jobs.append(self._jobs.popleft())
        return jobs

    def refuse(self, refusal: IsthmusError) -> None:
        """Take nothing more."""
        self._refusal = self._refusal or refusal

    async def aclose(self, refusal: IsthmusError) -> None:
        """Serve what is there, then end the thread."""
        self.refuse(refusal)
        self._closing = True
        self.kick()
        await asyncio.to_thread(self._thread.join, _LONGEST_END)

    # --- the thread's side

    def answer(self, results: Sequence[Result], then: Callable[[], None] | None = None) -> None:
        """Resolve the futures, in the loop, and call `then` there."""
        self._home.call(_resolve, results, then)

    def fail(self, jobs: Sequence[Job], error: Exception) -> None:
        """Tell all who wait for them; each an error of its own, for its traceback."""
        self.answer([(job[0], None, _again(error)) for job in jobs])

    def rest(self, seconds: float) -> bool:
        """Sleep until kicked or submitted to; return False if time ran out."""
        self._idle = True
        kicked = bool(self._jobs) or self._kicked.acquire(timeout=max(0.0, seconds))
        self._idle = False
        return kicked

    def _run(self) -> None:
        while (batch := self._take()) is not None:
            self._busy_since = time.monotonic()
            try:
                self._serve(batch)
            except BaseException as error:  # noqa: BLE001  a waiter must never hang
                died = UnavailableError(f"the database thread failed: {error!r}")
                died.__cause__ = error
                self.fail(batch, died)
            self._busy_since = None
        self.end()

    def end(self) -> None:
        """Let go of what it works with; the last that the thread does."""

    def _take(self) -> list[Job] | None:
        """Return what waits, as soon as anything does; None at the end."""
        while not self._jobs:
            self._idle = True
            if self._jobs:
                break
            if self._closing:
                return None
            self._kicked.acquire()
        self._idle = False
        jobs: list[Job] = []
        with suppress(IndexError):  # what waited may be withdrawn meanwhile
            while len(jobs) < _MOST:
                jobs.append(self._jobs.popleft())
        return jobs


def _again(error: Exception) -> Exception:
    copy = type(error)(*error.args)
    copy.__cause__ = error.__cause__
    return copy


def _resolve(results: Sequence[Result], then: Callable[[], None] | None) -> None:
    for future, result, error in results:
        if future.done():
            continue
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(error)
    if then is not None:
        then()
