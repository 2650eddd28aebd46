"""Whose turn it is to write, among the processes that share the file."""

import fcntl
import os
import weakref
from pathlib import Path

__all__ = ["Turn"]


class Turn:
    """A lock on a file beside the database; the kernel serves it in order.

    SQLite's own lock is taken by whoever asks at the right moment: of four
    processes one can starve for a second. Writers of ours queue here first,
    and so only a stranger's transaction can still be in their way.
    """

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o666)
        _turns.add(self)

    def take_if_free(self) -> bool:
        """Return whether it was."""
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def take(self) -> None:
        """Wait until it comes, however long that is."""
        fcntl.flock(self._file, fcntl.LOCK_EX)

    def give(self) -> None:
        fcntl.flock(self._file, fcntl.LOCK_UN)

    def __enter__(self) -> None:
        self.take()

    def __exit__(self, *_: object) -> None:
        self.give()

    def close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


_turns: weakref.WeakSet[Turn] = weakref.WeakSet()


def _leave_to_parent() -> None:
    """A forked child must not keep a lock alive that its parent died with."""
    for turn in _turns:
        turn.close()


os.register_at_fork(after_in_child=_leave_to_parent)
