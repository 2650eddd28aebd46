"""A thread that serves, in batches, what one event loop submits."""

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Generic, TypeVar

from isthmus.engines.sqlite.home import Home
from isthmus.errors import IsthmusError, UnavailableError

__all__ = ["Result", "Worker"]

Job = TypeVar("Job")
Result = tuple[asyncio.Future[Any], Any, BaseException | None]
"""A future, with what it shall answer or raise."""

_MOST = 4096
"""Jobs in one batch."""

_LONGEST_END = 30.0
"""A thread that hangs in the system for longer than so many seconds is left behind."""


class Worker(Generic[Job]):
    """Jobs submitted in one turn of the loop are served together.

    The hot path takes no lock: appending to a deque is atomic, and the thread
    is kicked, at the end of the turn, only if it sleeps.
    """

    def __init__(
        self,
        name: str,
        *,
        home: Home,
        serve: Callable[[Sequence[Job]], None],
        fail: Callable[[Sequence[Job], IsthmusError], None],
    ) -> None:
        self._home, self._serve, self._fail = home, serve, fail
        self._jobs: deque[Job] = deque()
        self._kicked = threading.Lock()
        self._kicked.acquire()
        self._idle = True
        self._closing = False
        self._refusal: IsthmusError | None = None
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    # --- the loop's side

    def future(self) -> asyncio.Future[Any]:
        """Return a future, for the next job."""
        return self._home.future()

    def submit(self, job: Job) -> None:
        if self._refusal is not None:
            raise type(self._refusal)(str(self._refusal))
        self._jobs.append(job)
        if self._idle:
            self._idle = False
            self._home.soon(self.kick)

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

    def rest(self, seconds: float) -> bool:
        """Sleep until kicked or submitted to; return False if time ran out."""
        self._idle = True
        kicked = bool(self._jobs) or self._kicked.acquire(timeout=max(0.0, seconds))
        self._idle = False
        return kicked

    def _run(self) -> None:
        while (batch := self._take()) is not None:
            try:
                self._serve(batch)
            except BaseException as error:  # noqa: BLE001  a waiter must never hang
                died = UnavailableError(f"the database thread failed: {error!r}")
                died.__cause__ = error
                self._fail(batch, died)
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
