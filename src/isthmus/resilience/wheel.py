"""Many deadlines on one timer: each event loop has a wheel that turns while calls run.

A deadline costs a call two dict operations instead of a timer of the loop's own, which is what
makes up most of the price of `asyncio.timeout`. In return it is coarse: a call is cut off up to
two notches after its time, never before.

Source: "Hashed and Hierarchical Timing Wheels", Varghese and Lauck, 1987.
"""

import asyncio
import math
import threading
import time
from typing import Any

__all__ = ["GRAIN", "PER_SECOND", "Wheel", "here", "notches", "wheel_of"]

GRAIN = 0.01
"""Seconds from one notch to the next."""

PER_SECOND = 1 / GRAIN

Slot = dict[object, asyncio.Task[Any]]

EMPTY: Slot = {}


class Wheel:
    """The calls to cut off on one event loop, by the notch at which their time is over."""

    __slots__ = ("_handle", "_passed", "loop", "now", "slots")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        plain = getattr(type(loop), "time", None) is asyncio.BaseEventLoop.time
        self.now = time.monotonic if plain else loop.time
        self.slots: dict[int, Slot] = {}
        """What a call asks for before `slot`, which makes a new one."""
        self._passed = 0  # the last notch whose calls were cut off
        self._handle: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return sum(map(len, self.slots.values()))

    @property
    def turning(self) -> bool:
        """Whether the loop holds a timer of this wheel: it does up to a notch after the last
        call has ended."""
        return self._handle is not None

    def slot(self, notch: int) -> Slot:
        """Return a new place for calls whose time is over at `notch`. Whoever puts its task
        there takes it out when it is done; what is not there any more was cancelled."""
        made = self.slots[notch] = {}
        if self._handle is None:
            self._passed = int(self.now() * PER_SECOND)
            self._handle = self.loop.call_later(GRAIN, self._turn)
        return made

    def _turn(self) -> None:
        reached = int(self.now() * PER_SECOND)
        for notch in range(self._passed + 1, reached + 1):
            slot = self.slots.pop(notch, EMPTY)
            for task in slot.values():
                task.cancel()
            slot.clear()
        self._passed = reached
        if any(self.slots.values()):
            self._handle = self.loop.call_later(GRAIN, self._turn)
        else:
            self.slots.clear()
            self._handle = None


def notches(seconds: float) -> int:
    """Return after how many notches `seconds` are over, from whenever they are counted."""
    return math.ceil(seconds / GRAIN) + 1


class _Nowhere(asyncio.AbstractEventLoop):
    """No loop: what a thread has before its first."""

    def time(self) -> float:
        return 0.0


class _Here(threading.local):
    wheel = Wheel(_Nowhere())


here = _Here()
"""The wheel last used in this thread, of the loop that most likely runs in it."""


def wheel_of(loop: asyncio.AbstractEventLoop) -> Wheel:
    """Return the wheel of `loop`, which runs in this thread.

    A thread that runs several loops in turn makes one anew at each change; one with calls on it
    is kept by its loop's timer, and by the calls.
    """
    wheel = here.wheel
    if wheel.loop is not loop:
        wheel = here.wheel = Wheel(loop)
    return wheel
