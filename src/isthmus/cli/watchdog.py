"""A thread that sees whether the event loop still turns, and ends a process where it does not.

Nothing on a blocked loop can tell that it is blocked: leases run out, and the messages
go to other processes, where the same handler blocks again. So the process says what
blocks it, and ends at last: its messages come back, are tried alone, and the one that
blocks every time becomes a dead letter.
"""

import asyncio
import logging
import os
import signal
import sys
import threading
import traceback

__all__ = ["Watchdog"]

TOLD = 5
"""Beats that are missed before it is told."""
BEAT = 1.0

_log = logging.getLogger("isthmus.watchdog")


class Watchdog:
    """Watches the running loop while the block lasts; on the loop's own thread.

    `patience`: seconds without a turn of the loop until the process kills itself; 0 is
    never. It counts its own beats, not the clock: a process that was frozen as a whole
    is not to blame.
    """

    def __init__(self, *, patience: float) -> None:
        self._patience = patience
        self._turned, self._over = threading.Event(), threading.Event()
        self._loop = asyncio.get_running_loop()
        self._watched = threading.get_ident()

    def __enter__(self) -> None:
        threading.Thread(target=self._watch, name="isthmus-watchdog", daemon=True).start()

    def __exit__(self, *_: object) -> None:
        self._over.set()

    def _watch(self) -> None:
        beat = min(BEAT, self._patience / 2) if self._patience else BEAT
        missed = 0
        while not self._over.is_set():
            self._turned.clear()
            self._loop.call_soon_threadsafe(self._turned.set)
            if self._over.wait(beat):
                return
            missed = 0 if self._turned.is_set() else missed + 1
            self._judge(missed, beat)

    def _judge(self, missed: int, beat: float) -> None:
        if missed == TOLD or self._is_hopeless(missed, beat):
            _log.error(
                "the event loop stands still for %.1f s, and everything with it, in:\n%s"
                "An async handler must not block: write it as def, so that it runs in a thread",
                missed * beat,
                "".join(traceback.format_stack(sys._current_frames().get(self._watched))),  # pyright: ignore[reportPrivateUsage]
            )
        if self._is_hopeless(missed, beat):
            _log.critical(
                "the process kills itself; what it had in hand comes back by its lease "
                "(ISTHMUS_BLOCKED is how long it may stand still, 0 for ever)"
            )
            logging.shutdown()
            os.kill(os.getpid(), signal.SIGKILL)

    def _is_hopeless(self, missed: int, beat: float) -> bool:
        return self._patience > 0 and missed * beat >= self._patience
