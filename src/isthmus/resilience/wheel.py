"""Many deadlines on one timer: each event loop has a wheel that turns while calls run.

A deadline costs a call two dict operations instead of a timer of the loop's own, which is what
makes up most of the price of `asyncio.timeout`. In return it is coarse: a call is cut off up to
two notches after its time, never before.

Source: "Hashed and Hierarchical Timing Wheels", Varghese and Lauck, 1987.
"""

import asyncio
import math
import threading
from typing import Any

__all__ = ["Wheel", "notches", "wheel_of"]

GRAIN = 0.01
"""Seconds from one notch to the next."""

Task = asyncio.Task[Any]


class Wheel:
    """The calls to cut off on one event loop, by the notch at which their time is over."""

    __slots__ = ("_handle", "_passed", "_slots", "loop", "now")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.now = loop.time
        self._slots: dict[int, dict[object, Task]] = {}
        self._passed = 0  # the last notch whose calls were cut off
        self._handle: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return sum(map(len, self._slots.values()))

    @property
    def turning(self) -> bool:
        """Whether the loop holds a timer of this wheel; it does up to a notch after the last."""
        return self._handle is not None

    def put(self, key: object, task: Task, span: int) -> int:
        """Have `task` cancelled `span` notches from now, unless `key` is taken out before;
        return its notch."""
        at = int(self.now() / GRAIN) + span
        slot = self._slots.get(at)
        if slot is None:
            slot = self._slots[at] = {}
            if self._handle is None:
                self._start()
        slot[key] = task
        return at

    def take(self, key: object, at: int) -> bool:
        """Take out `key`; return False if its time was over and its task cancelled."""
        slot = self._slots.get(at)
        if slot is None or slot.pop(key, None) is None:
            return False
        if not slot:
            del self._slots[at]
        return True

    def _start(self) -> None:
        self._passed = int(self.now() / GRAIN)
        self._handle = self.loop.call_later(GRAIN, self._turn)

    def _turn(self) -> None:
        if not self._slots:
            self._handle = None
            return
        reached = int(self.now() / GRAIN)
        for notch in range(self._passed + 1, reached + 1):
            for task in self._slots.pop(notch, {}).values():
                task.cancel()
        self._passed = reached
        self._handle = self.loop.call_later(GRAIN, self._turn)


def notches(seconds: float) -> int:
    """Return after how many notches `seconds` are over, from whenever they are counted."""
    return math.ceil(seconds / GRAIN) + 1


class _Here(threading.local):
    wheel: Wheel | None = None


_here = _Here()


def wheel_of(loop: asyncio.AbstractEventLoop) -> Wheel:
    """Return the wheel of `loop`, which runs in this thread.

    A thread that runs several loops in turn makes one anew at each change; one with calls on it
    is kept by its loop's timer, and by the calls.
    """
    wheel = _here.wheel
    if wheel is None or wheel.loop is not loop:
        wheel = _here.wheel = Wheel(loop)
    return wheel
