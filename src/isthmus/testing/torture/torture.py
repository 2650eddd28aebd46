"""Processes are killed and frozen until enough of them were, and the work is done."""

import asyncio
import random
import signal
from collections.abc import Awaitable, Callable, Collection, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from isthmus.testing.torture.place import Place, Seat

__all__ = ["Torture"]

SURE = 3
"""How often in a row all must be settled before it counts."""
LOOK = 0.25
"""Seconds between two looks whether it is."""


class Torture:
    """Keeps the processes of all `places` running, and kills them.

    Args:
        folder: Where what each process prints is kept, as "worker-1.log".
        pause: Seconds between two blows, at least and at most.
        frozen: Seconds for which a process is stopped instead of killed, and then goes
            on without knowing; longer than the leases. 0 is never.
        seed: Of who is hit, when, and how. What comes of it is up to the machine.
        forgiven: Statuses that a process may end with and is begun anew, as one that found no
            server when it began.
    """

    def __init__(
        self,
        *places: Place,
        folder: Path,
        pause: tuple[float, float] = (0.3, 1.5),
        frozen: float = 0.0,
        seed: int = 0,
        forgiven: Collection[int] = (),
    ) -> None:
        self._seats = [
            Seat(place, number, log=folder / f"{place.name}-{number}.log")
            for place in places
            for number in range(1, place.count + 1)
        ]
        self._pause, self._frozen, self._random = pause, frozen, random.Random(seed)
        self._fair = {0, -signal.SIGKILL, *forgiven}
        self.killed: list[int] = []
        """The pids of those that were killed from outside."""
        self.thawed: list[int] = []
        """The pids of those that were frozen for a while."""

    async def __aenter__(self) -> Self:
        for seat in self._seats:
            seat.sit()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.end(within=30.0 if error is None else 0.0)

    async def run(
        self, *, until: Callable[[], Awaitable[bool]], kills: int, within: float = 600.0
    ) -> None:
        """Torture until `kills` processes were killed and all is settled, without further
        blows; `until` is asked for that, a few times in a row.

        Raises:
            TimeoutError: It is not, after `within` seconds.
            RuntimeError: A process ended as none should: see `faults`.
        """
        async with asyncio.timeout(within):
            while len(self.killed) < kills:
                await self._wait(self._random.uniform(*self._pause))
                await self._strike()
            calm = 0
            while calm < SURE:
                await self._wait(LOOK)
                calm = calm + 1 if await until() else 0

    async def _wait(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        if self.faults:
            raise RuntimeError("; ".join(self.faults))

    async def end(self, *, within: float) -> None:
        """Drain all processes, in `within` seconds; twice is once."""
        await asyncio.gather(*(seat.leave(within=within) for seat in self._seats))

    @property
    def done(self) -> bool:
        """Whether every process that ends by itself has ended."""
        return all(seat.done for seat in self._seats if seat.ends)

    @property
    def begun(self) -> int:
        """How many processes were begun so far."""
        return sum(seat.begun for seat in self._seats)

    @property
    def deaths(self) -> int:
        """How many died by SIGKILL that nobody here had killed."""
        exits = [status for seat in self._seats for status in seat.exits]
        return exits.count(-signal.SIGKILL) - len(self.killed)

    @property
    def faults(self) -> Sequence[str]:
        """Those that ended otherwise than by SIGKILL, or with status 0 or a forgiven one."""
        return [
            f"{seat.name} ended with status {status}; {seat.log} says why"
            for seat in self._seats
            for status in seat.exits
            if status not in self._fair
        ]

    async def _strike(self) -> None:
        alive = [seat for seat in self._seats if seat.pid]
        if not alive:
            return
        seat = self._random.choice(alive)
        if self._frozen and self._random.random() < 0.2:
            await self._freeze(seat)
        elif pid := seat.send(signal.SIGKILL):
            self.killed.append(pid)

    async def _freeze(self, seat: Seat) -> None:
        """Stop it as a paused virtual machine stops: it goes on, and time did too."""
        if pid := seat.send(signal.SIGSTOP):
            await asyncio.sleep(self._frozen)
            seat.send(signal.SIGCONT)
            self.thawed.append(pid)
