"""Holding the writer for one unlucky transaction, while it comes back in time."""

import time
from collections.abc import Callable

from isthmus.engines.sqlite.database.connection import OwnConnection
from isthmus.engines.sqlite.database.job import STEP, Job
from isthmus.engines.sqlite.database.script import Script

__all__ = ["Favour"]

_HOLD = 0.1
"""Longest time that it may hold the writer, in seconds."""


class Favour:
    """A talk with the holder of a script: it asks, is answered, and asks again,
    until it commits, ends, or stays away."""

    def __init__(
        self,
        job: Job,
        connection: OwnConnection,
        *,
        begin: Callable[[], None],
        next_of: Callable[[Script, float], Job | None],
        answer: Callable[[Job, object], None],
    ) -> None:
        self.job = job
        self._script: Script = job[2]
        self._connection = connection
        self._begin, self._next_of, self._answer = begin, next_of, answer
        self._played = 0
        self._until = time.monotonic() + _HOLD

    def grant(self) -> bool:
        """Return True once all is applied that `job` wants committed; False if it
        does not come to that."""
        while self.job[1] == STEP:
            self._step()
            following = self._next_of(self._script, self._until)
            if following is None:
                return False
            self.job = following
        self._script.apply(self._connection, self._played)
        return True

    def _step(self) -> None:
        if self._played != len(self._script.lines):  # the last line was cancelled
            self._connection.execute("ROLLBACK")
            self._begin()
            self._played = 0
        told = self._script.ask(self._connection, self.job[3], self._played)
        self._played = len(self._script.lines) + 1
        self._answer(self.job, told)
