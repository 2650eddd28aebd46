"""One connection through the proxy: its two ways, its faults, its end."""

import asyncio
import contextlib
import logging
import socket
import struct
from collections.abc import Callable, Sequence

from isthmus.clock import Clock
from isthmus.testing.faults.fault import NetworkFault
from isthmus.testing.faults.flow import Flow

__all__ = ["LINGER_NOT", "Connection"]

_log = logging.getLogger("isthmus.testing")

LINGER_NOT = struct.pack("ii", 1, 0)
"""Has a socket closed by an RST, at once."""


class Connection:
    """Between `client` and `server`, which it owns, from `run` to its end."""

    def __init__(
        self,
        client: socket.socket,
        server: socket.socket,
        *,
        seed: str,
        clock: Clock,
        note: Callable[[str, int], None],
    ) -> None:
        self._sockets, self._clock, self._note = (client, server), clock, note
        self._up = Flow("up", client, server, wire=self, seed=seed, clock=clock)
        self._down = Flow("down", server, client, wire=self, seed=seed, clock=clock)
        self._lifted: dict[NetworkFault, asyncio.Event] = {}
        self._attending: dict[NetworkFault, asyncio.Task[None]] = {}
        self._end, self._ended, self._abruptly = asyncio.Event(), 0, False

    async def run(self) -> None:
        """Carry bytes until both sides have sent all, one breaks, or a fault ends it."""
        flows = [asyncio.create_task(flow.run()) for flow in self.passages]
        for flow in flows:
            flow.add_done_callback(self._note_end)
        try:
            await self._end.wait()
        finally:
            await _cancelled(*flows, *self._attending.values())
            self._part()

    # -- as faults see it ---------------------------------------------------------------------

    @property
    def passages(self) -> tuple[Flow, Flow]:
        return self._up, self._down

    @property
    def faults(self) -> Sequence[NetworkFault]:
        return list(self._lifted)

    @property
    def over(self) -> bool:
        return self._end.is_set()

    def note(self, way: str, size: int) -> None:
        self._note(way, size)

    async def wait(self, fault: NetworkFault, seconds: float) -> None:
        lifted = self._lifted.get(fault)
        if lifted is not None and seconds > 0:
            await self._clock.wait(lifted, seconds)

    def reset(self) -> None:
        self._abruptly = True
        self._end.set()

    def close(self) -> None:
        self._end.set()

    # -- as the proxy sees it -----------------------------------------------------------------

    def suffer(self, fault: NetworkFault) -> None:
        self._lifted[fault] = asyncio.Event()
        self._attending[fault] = task = asyncio.create_task(fault.attend(self))
        task.add_done_callback(_tell)
        self._stir()

    def heal(self, fault: NetworkFault) -> None:
        """Take `fault` from it, if it has it."""
        if fault in self._lifted:
            self._lifted.pop(fault).set()
            self._attending.pop(fault).cancel()
            self._stir()

    def _note_end(self, flow: "asyncio.Task[None]") -> None:
        """Both sides have sent all, or one broke: then the other is broken, too."""
        _tell(flow)
        if broken := flow.cancelled() or flow.exception() is not None:
            self._abruptly = self._abruptly or not self.over
        self._ended += 1
        if broken or self._ended == len(self.passages):
            self._end.set()

    def _stir(self) -> None:
        for flow in self.passages:
            flow.stirred.set()

    def _part(self) -> None:
        for side in self._sockets:
            with contextlib.suppress(OSError):  # it is gone already
                if self._abruptly:
                    side.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_NOT)
                else:
                    _say_goodbye(side)
            side.close()


def _say_goodbye(side: socket.socket) -> None:
    """Send a FIN. What was not read must be, or closing sends an RST after it."""
    side.shutdown(socket.SHUT_WR)
    with contextlib.suppress(BlockingIOError):
        while side.recv(1 << 16):
            pass


def _tell(task: "asyncio.Task[None]") -> None:
    """Log what is no fault of a network's but of a fault's code."""
    error = None if task.cancelled() else task.exception()
    if error is not None and not isinstance(error, OSError):
        _log.error("a fault failed: %r", error, exc_info=error)


async def _cancelled(*tasks: "asyncio.Task[None]") -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
