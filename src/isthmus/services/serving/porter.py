"""Who may stay connected: how many, and for how long without doing what is waited for.

first byte of a request          its head is whole
new, idle ───────────────────────► heads ──────────────────────► busy ──► idle
│                             │
408, after head_timeout               body_timeout, write_timeout
"""

import asyncio
import resource
from collections.abc import Collection, Iterator
from itertools import takewhile
from typing import Protocol

from isthmus.settings import Settings

__all__ = ["Guest", "Porter"]

LINGER = 1.0
"""Seconds in which a client that was refused may read why."""
PATIENCE = 1.0
"""Seconds that a client may take before it has to go for another, if all places are taken."""
TICK = 1.0
"""Seconds between two rounds, unless a time limit is short."""
RESERVE = 100
"""Files that the process needs beside its connections."""


class Guest(Protocol):
    """A connection, as the porter sees it."""

    @property
    def since(self) -> float:
        """When it entered the state that it is in."""
        ...

    def turn_away(self) -> None:
        """Answer its first request with a 503."""
        ...

    def give_up(self) -> None:
        """End it: what was waited for did not come."""
        ...

    def abort(self) -> None:
        """End it at once."""
        ...

    def look(self, now: float) -> None:
        """End it if its client is too slow in what it does."""
        ...


class Porter:
    """Looks after the connections of one server; `connections` are all of them, as they are."""

    def __init__(self, settings: Settings, connections: Collection[object]) -> None:
        self.settings, self._connections = settings, connections
        self.now = asyncio.get_running_loop().time
        self.limit = min(settings.http_connections, max(16, _files() - RESERVE))
        self._guests = set[Guest]()
        self.heads: dict[Guest, None] = {}
        """Those whose request's head is not whole, the longest first."""
        self.idle: dict[Guest, None] = {}
        """Those between two requests, the longest first."""
        self.leaving: dict[Guest, None] = {}
        """Those that were refused, and may read why."""

    def welcome(self, guest: Guest) -> None:
        """Let it in, in place of one that does nothing if need be; else turn it away."""
        self._guests.add(guest)
        extra = len(self._connections) - len(self.leaving) - self.limit
        if extra > self.limit // 10 + 16:
            return guest.abort()
        if extra > 0 and not self._make_room():
            return guest.turn_away()
        self.heads[guest] = None

    def busy(self, guest: Guest) -> None:
        """Its request has come whole, or as far as its body."""
        self.heads.pop(guest, None)
        self.idle.pop(guest, None)

    def begun(self, guest: Guest) -> None:
        """A part of the head of its next request has come."""
        self.idle.pop(guest, None)
        self.heads[guest] = None

    def rests(self, guest: Guest) -> None:
        """It has its answer."""
        self.idle[guest] = None

    def leaves(self, guest: Guest) -> None:
        """It is refused."""
        self.gone(guest)
        self._guests.add(guest)
        self.leaving[guest] = None

    def gone(self, guest: Guest) -> None:
        """It has left, or speaks another protocol now."""
        self.busy(guest)
        self.leaving.pop(guest, None)
        self._guests.discard(guest)

    async def watch(self) -> None:
        """Make rounds, for ever."""
        settings = self.settings
        limits = (settings.http_head_timeout, settings.http_body_timeout)
        tick = min(TICK, *(limit / 4 for limit in (*limits, settings.http_write_timeout)))
        while True:
            await asyncio.sleep(tick)
            self._make_round(self.now())

    def _make_round(self, now: float) -> None:
        for guest in self._longer(self.heads, now - self.settings.http_head_timeout):
            guest.give_up()
        for guest in self._longer(self.idle, now - self.settings.http_idle_timeout):
            guest.abort()
        for guest in self._longer(self.leaving, now - LINGER):
            guest.abort()
        for guest in list(self._guests):
            guest.look(now)

    def _make_room(self) -> bool:
        """End the one that has done nothing for longest; return whether there was any."""
        long_ago = self.now() - PATIENCE
        for waiting in (self.heads, self.idle):
            for guest in self._longer(waiting, long_ago)[:1]:
                guest.abort()
                self.gone(guest)
                return True
        return False

    @staticmethod
    def _longer(waiting: dict[Guest, None], than: float) -> list[Guest]:
        """Return who waits since before `than`: those are the first."""
        return list(_while_before(waiting, than))


def _while_before(waiting: dict[Guest, None], than: float) -> Iterator[Guest]:
    return takewhile(lambda guest: guest.since < than, waiting)


def _files() -> int:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 1 << 20 if soft == resource.RLIM_INFINITY else soft
