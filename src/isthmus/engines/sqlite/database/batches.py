"""Items of many callers and many scripts, done in as few calls as their order allows."""

import asyncio
from collections.abc import Sequence
from typing import Any

from isthmus.engines.sqlite.database.connection import Connection
from isthmus.engines.sqlite.database.savepoints import Savepoints
from isthmus.engines.sqlite.database.script import MergedWork, Script
from isthmus.engines.sqlite.database.worker import Result

__all__ = ["Batches", "RefusedItemError"]

Part = tuple[asyncio.Future[Any] | None, Any]
"""An item, with the future of who waits for it alone; a script's item has none."""


class RefusedItemError(Exception):
    """An item that a script staged was refused: its whole script must be undone."""


class _Batch:
    __slots__ = ("parts", "work")

    def __init__(self, work: MergedWork) -> None:
        self.work = work
        self.parts: list[Part] = []


class Batches:
    """Batches in the order in which they will run. An item of a script joins a
    batch of its work, but none before that of the item staged before it."""

    def __init__(self, savepoints: Savepoints) -> None:
        self._savepoints = savepoints
        self._batches: list[_Batch] = []

    def add(self, work: MergedWork, item: Any, future: asyncio.Future[Any]) -> None:
        self._place(work, (future, item), 0)

    def add_staged(self, script: Script) -> None:
        place = 0
        for work, item in script.staged:
            place = self._place(work, (None, item), place)

    def _place(self, work: MergedWork, part: Part, first: int) -> int:
        for place, batch in enumerate(self._batches[first:] if first else self._batches, first):
            if batch.work is work:
                batch.parts.append(part)
                return place
        batch = _Batch(work)
        batch.parts.append(part)
        self._batches.append(batch)
        return len(self._batches) - 1

    def run(self) -> list[Result]:
        """Run all that were added since the last time.

        Raises:
            RefusedItemError: Nothing of this transaction may be kept.
        """
        batches, self._batches = self._batches, []
        results: list[Result] = []
        for batch in batches:
            results += self._run(batch.work, batch.parts)
        return results

    def _run(self, work: MergedWork, parts: Sequence[Part]) -> list[Result]:
        results: list[Result] = []
        for (future, _), answer in zip(parts, self._answers(work, parts), strict=True):
            refused = isinstance(answer, BaseException)
            if future is not None:
                results.append((future, None, answer) if refused else (future, answer, None))
            elif refused:
                raise RefusedItemError from answer
        return results

    def _answers(self, work: MergedWork, parts: Sequence[Part]) -> Sequence[Any]:
        items = [item for _, item in parts]
        answers, error = self._savepoints.isolated(lambda connection: work(connection, items))
        if error is None:
            return answers
        if len(parts) == 1:
            return [error]
        return [self._alone(work, item) if future else error for future, item in parts]

    def _alone(self, work: MergedWork, item: Any) -> Any:
        def alone(connection: Connection) -> Any:
            (done,) = work(connection, [item])
            if isinstance(done, Exception):
                raise done
            return done

        answer, error = self._savepoints.isolated(alone)
        return answer if error is None else error
