"""One way of a connection: read from one side, carried through the faults, given to the other.

    read ──► up to WINDOW bytes that wait ──► fault ─► fault ─► ... ──► send

A side that does not read makes the other wait, as it would without a proxy.
"""

import asyncio
import random
import socket
from collections import deque
from collections.abc import Sequence
from functools import partial

from isthmus.clock import Clock
from isthmus.testing.faults.fault import Forward, NetworkFault, Wire

__all__ = ["Flow"]

CHUNK, WINDOW = 1 << 16, 1 << 18
"""Bytes that are read at once, and bytes that wait at most."""


class Flow:
    """Carries bytes from `source` to `target` until the source has sent all."""

    def __init__(
        self,
        way: str,
        source: socket.socket,
        target: socket.socket,
        *,
        wire: Wire,
        seed: str,
        clock: Clock,
    ) -> None:
        self.way, self._source, self._target = way, source, target
        self.wire, self._seed, self._clock = wire, f"{seed}/{way}", clock
        self._waiting: deque[tuple[float, bytes]] = deque()
        self._draws: dict[NetworkFault, random.Random] = {}
        self._size, self._ended = 0, False
        self.stirred = asyncio.Event()
        """Set whenever it may be worth looking again: bytes came or went, faults changed."""
        self.read = self.sent = 0
        self.arrived_at = 0.0

    async def run(self) -> None:
        """
        Raises:
            OSError: A side broke.
        """
        reading = asyncio.create_task(self._read())
        sending = asyncio.create_task(self._send())
        try:
            done, _ = await asyncio.wait([reading, sending], return_when=asyncio.FIRST_EXCEPTION)
            for task in done:
                task.result()
        finally:
            reading.cancel()
            sending.cancel()
            await asyncio.wait([reading, sending])

    def now(self) -> float:
        return self._clock.now()

    async def wait(self, fault: NetworkFault, seconds: float) -> None:
        await self.wire.wait(fault, seconds)

    def draw(self, fault: NetworkFault) -> float:
        if fault not in self._draws:
            self._draws[fault] = random.Random(f"{self._seed}/{type(fault).__name__}")
        return self._draws[fault].random()

    async def _read(self) -> None:
        loop = asyncio.get_running_loop()
        while not self._ended:
            data = await loop.sock_recv(self._source, await self._room())
            self.read += len(data)
            self._size += len(data)
            self._waiting.append((self.now(), data))
            self._ended = not data
            self.stirred.set()

    async def _room(self) -> int:
        """Wait until bytes may be read; return how many."""
        while not (room := min([CHUNK, WINDOW - self._size, *self._allowed()])):
            await self._stir()
        return room

    def _allowed(self) -> Sequence[int]:
        rooms = [fault.room(self) for fault in self._faults]
        return [room for room in rooms if room is not None]

    @property
    def _faults(self) -> Sequence[NetworkFault]:
        return [fault for fault in self.wire.faults if fault.concerns(self)]

    async def _send(self) -> None:
        while True:
            while not self._waiting:
                await self._stir()
            self.arrived_at, data = self._waiting.popleft()
            if not data:
                return self._target.shutdown(socket.SHUT_WR)
            await self._carry(data)
            self._size -= len(data)
            self.stirred.set()

    async def _stir(self) -> None:
        self.stirred.clear()
        await self.stirred.wait()

    async def _carry(self, data: bytes) -> None:
        forward: Forward = self._give
        for fault in reversed(self._faults):
            forward = partial(fault.carry, passage=self, forward=forward)
        await forward(data)

    async def _give(self, data: bytes) -> None:
        if self.wire.over:
            return
        await asyncio.get_running_loop().sock_sendall(self._target, data)
        self.sent += len(data)
        self.wire.note(self.way, len(data))
