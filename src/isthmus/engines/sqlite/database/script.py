"""A transaction as a script: what it asked, what it was told, what it wants done."""

from collections.abc import Callable, Sequence
from typing import Any

from isthmus.engines.sqlite.database.connection import Connection, Work
from isthmus.errors import ConflictError, StatementError

__all__ = ["DEFERRED", "Answer", "MergedWork", "Script"]

MergedWork = Callable[[Connection, list[Any]], Sequence[Any]]
"""Does many items in one go; answers each, with an exception where it refused
one, of which it then must have written nothing."""


class Refusal(str):
    """The words of a StatementError: equal words are an equal answer."""

    __slots__ = ("cause",)

    cause: BaseException | None


Answer = tuple[Any, Refusal | None]
"""What a line returned, or how it was refused."""


DEFERRED: Answer = (None, None)
"""Of a line that nobody waits for: it may be answered in any way, but must not be refused."""


class Script:
    """Lines that were answered, and must be answered alike whenever they are
    played again; and what is staged, done once by the commit.

    Only the loop changes it, one line at a time.
    """

    __slots__ = ("_seen", "ended", "lines", "patient", "reader", "sees_ours", "staged", "wrote")

    def __init__(self, *, patient: bool) -> None:
        self.lines: list[tuple[Work[Any], Answer]] = []
        self.staged: list[tuple[MergedWork, Any]] = []
        self.patient = patient
        self.wrote = False
        self.sees_ours = False  # a line depends on tables that staged items change
        self.ended = False
        self.reader: Any = None  # who answers it as long as it only reads
        self._seen = -1

    @property
    def changes(self) -> bool:
        """Whether a commit has anything to do; what only read was true when it read."""
        return self.wrote or bool(self.staged)

    def ask(self, connection: Connection, work: Work[Any], played: int = 0) -> Answer:
        """Play what was answered, from the line `played` on, then one line more."""
        self.replay(connection, played)
        return answer(connection, work)

    def look(self, connection: Connection, work: Work[Any]) -> Answer:
        """Like `ask`, of a reader; plays again only if something was committed since."""
        ((version,),) = connection.execute("PRAGMA data_version").fetchall()
        if version != self._seen:
            self.replay(connection)
            self._seen = version
        return answer(connection, work)

    def replay(self, connection: Connection, played: int = 0) -> None:
        for work, told in self.lines[played:]:
            if told is DEFERRED:
                work(connection)
            elif answer(connection, work) != told:
                raise ConflictError(
                    "what this transaction read has changed; nothing was written, run it again",
                    subject="read",
                )

    def apply(self, connection: Connection, played: int = 0) -> None:
        """Play all of it, and do what is staged, apart from every other script."""
        self.replay(connection, played)
        for work, item in self.staged:
            (done,) = work(connection, [item])
            if isinstance(done, BaseException):
                raise done


def answer(connection: Connection, work: Work[Any]) -> Answer:
    try:
        return work(connection), None
    except StatementError as error:
        refusal = Refusal(error)
        refusal.cause = error.__cause__
        return None, refusal
