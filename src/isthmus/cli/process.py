"""One process of an app in the foreground: its loop, its signals, its end."""

import asyncio
import gc
import logging
import os
import signal
import sys
from collections.abc import Callable, Sequence

from isthmus.app import App
from isthmus.cli.narration import narrate
from isthmus.cli.patience import Patience
from isthmus.cli.watchdog import Watchdog

__all__ = ["LENGTH", "SUPERVISED", "collect_seldom", "last_words", "serve"]

SUPERVISED = "ISTHMUS_SUPERVISED"
"""In the environment of a process whose supervisor holds the other end of its stdin, a
socket."""

NEW_OBJECTS = 10_000
"""More objects than at the last time make the garbage collector look again."""

LENGTH = 65536
"""Bytes of last words, at most: what a socket takes without anybody reading."""

_log = logging.getLogger("isthmus")


def serve(app: App, *, only: Sequence[str]) -> None:
    """Run `app` until SIGTERM or SIGINT, then drain it; a second one ends it at once.

    Raises:
        ConfigError: It cannot run as it is configured.
    """
    collect_seldom()
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(_serve(app, only))


def last_words(text: str) -> None:
    """Tell the supervisor what ended this process; it says it once for all of them."""
    os.write(sys.stdin.fileno(), text.encode()[:LENGTH])


def collect_seldom() -> None:
    """What is imported stays, and handling a message leaves no circles: looking for some
    at every 700 new objects is a tenth of its cost."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(NEW_OBJECTS, 20, 20)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


async def _serve(app: App, only: Sequence[str]) -> None:
    narrate(app.signals, serving=app.settings.listener is None)
    running = asyncio.create_task(app.run(only=only))
    ending = _Ending(app, running)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ending.begin)
    if SUPERVISED in os.environ:
        loop.add_reader(sys.stdin.fileno(), ending.orphan)
    try:
        with Watchdog(patience=app.settings.blocked):
            await running
    except asyncio.CancelledError:
        _log.warning("ended at once; what was in hand comes back by its lease")


class _Ending:
    """The way out: drain when asked once, stop when asked twice."""

    def __init__(self, app: App, running: "asyncio.Task[None]") -> None:
        self._app, self._running, self._patience = app, running, Patience()
        self._draining: asyncio.Task[None] | None = None

    def begin(self) -> None:
        if self._patience.is_over(asyncio.get_running_loop().time()):
            self._running.cancel()
        elif self._draining is None:
            _log.info("draining: finishing what runs, taking nothing more")
            self._draining = asyncio.create_task(self._drain())

    def orphan(self) -> None:
        """The supervisor is gone: nobody would restart this process, nor end it."""
        asyncio.get_running_loop().remove_reader(sys.stdin.fileno())
        if self._draining is None:
            _log.error("the supervisor is gone")
            self.begin()

    async def _drain(self) -> None:
        await self._app.drain()
