"""What a room needs of the process it runs in, and nothing of the App.

`engine` carries messages and streams; `state` keeps what must commit with a
handler: rows, outbox, inbox, dead letters. Mostly they are one. Where their
scopes differ, the portable layer goes through the outbox and the inbox.
"""

import asyncio
import os
import random
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from typing import Any, TypeVar, cast

from isthmus.clock import Clock
from isthmus.contracts import Engine, LogEngine, QueueEngine, StoreEngine
from isthmus.errors import UnsupportedError
from isthmus.handling.threads import Threads
from isthmus.settings import Settings
from isthmus.signals import Signals

__all__ = ["Host"]

T = TypeVar("T")


class Host:
    """One process of an App, while it is open."""

    def __init__(
        self,
        name: str,
        *,
        engine: Engine,
        state: Engine,
        settings: Settings,
        clock: Clock,
        signals: Signals,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self.name = name
        self.engine, self.state = engine, state
        self.settings, self.clock, self.signals, self.draw = settings, clock, signals, draw
        self.loop, self.pid = asyncio.get_running_loop(), os.getpid()
        """Where it runs."""
        self.threads = Threads()
        """Where `def` handlers run."""
        self.solitude = asyncio.Lock()
        """Held while a suspect is tried: only one at a time in a process, or its death would
        count against several."""
        self.resources: Mapping[Any, Any] = {}
        """What is given to handlers, by its type; opened with the Host."""
        self.overrides: Mapping[Callable[..., Any], Callable[..., Any]] = {}
        """Functions that are called instead of others that handlers depend on."""
        self.closing = AsyncExitStack()
        """What is to be closed before the engines are, the newest first: rooms add to it."""
        self._kept: dict[Callable[[Host], Any], Any] = {}

    def kept(self, make: "Callable[[Host], T]") -> T:
        """Return this Host's one `make(host)`, made when first asked for: what a room keeps of
        its own for as long as the Host is open."""
        if make not in self._kept:
            self._kept[make] = make(self)
        return cast("T", self._kept[make])

    @property
    def source(self) -> str:
        """What messages made here say they come from."""
        return self.settings.source or self.name

    @property
    def queue(self) -> QueueEngine:
        """Raises UnsupportedError if the engine carries no queues."""
        if self.engine.queue is None:
            raise _missing("queues", self.settings.engine)
        return self.engine.queue

    @property
    def log(self) -> LogEngine:
        """Raises UnsupportedError if the engine keeps no streams."""
        if self.engine.log is None:
            raise _missing("streams", self.settings.engine)
        return self.engine.log

    @property
    def store(self) -> StoreEngine:
        """Raises UnsupportedError if the store's engine has no transactions."""
        if self.state.store is None:
            raise _missing("a store", self.settings.store or self.settings.engine)
        return self.state.store

    @property
    def letters(self) -> QueueEngine:
        """Where outbox and dead letters lie: in the store's scope, so that they
        can be browsed and commit with a handler."""
        return self.state.queue or self.queue

    @property
    def one_scope(self) -> bool:
        """Queues and store are one database: ack, inbox and rows commit together."""
        scope = self.queue.capabilities.scope
        return scope != "" and scope == self.store.capabilities.scope


def _missing(what: str, url: str) -> UnsupportedError:
    scheme = url.partition(":")[0]
    return UnsupportedError(f"{scheme}:// has no {what}; sqlite:// and memory:// have all three")
