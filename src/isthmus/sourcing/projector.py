"""A projection's worker: reads events for the live generation, and for the one being built."""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence

from isthmus.errors import IsthmusError, UnavailableError
from isthmus.handling.calling.handler import Bindable, Invoke
from isthmus.handling.consuming.dead_letters import DeadLetters
from isthmus.handling.host import Host
from isthmus.sourcing.generation import Standing
from isthmus.sourcing.switching import Switching
from isthmus.streams.consumer import GroupConsumer
from isthmus.streams.options import GroupOptions

__all__ = ["LOOK", "Projector"]

_log = logging.getLogger("isthmus.projections")

LOOK = 1.0
"""Seconds between two looks at where the projection stands."""

BindGeneration = Callable[[Host, int], Invoke]


class _Bound(Bindable):
    """The handler, as one generation's."""

    def __init__(self, bind: BindGeneration, number: int) -> None:
        self._bind, self._number = bind, number

    def bind(self, host: Host) -> Invoke:
        return self._bind(host, self._number)


class _Running:
    """The consumer of one generation, while it runs."""

    def __init__(self, consumer: GroupConsumer, host: Host) -> None:
        self.consumer = consumer
        self.task = asyncio.create_task(consumer.run(host))

    async def end(self) -> None:
        await self.consumer.drain()
        await self.task


class Projector:
    """A Worker: one projection in this process."""

    def __init__(
        self, address: str, version: int, options: GroupOptions, bind: BindGeneration
    ) -> None:
        self.name = f"projection:{address}"
        self._version, self._options, self._bind = version, options, bind
        self._running: dict[int, _Running] = {}
        self._stop, self._stirred = False, asyncio.Event()
        self.paused = False
        self.switching: Switching | None = None
        """Set when the App opens."""
        self.home: Host | None = None

    @property
    def in_hand(self) -> Sequence[str]:
        return [each for one in self._running.values() for each in one.consumer.in_hand]

    def stir(self) -> None:
        """Have it look at once where the projection stands."""
        self._stirred.set()

    async def run(self, host: Host) -> None:  # noqa: ARG002 - the store's side of it is `home`
        """Read until drained; what was begun is done when it returns."""
        assert self.home is not None
        assert self.switching is not None
        self._stop, home = False, self.home
        try:
            while not self._stop:
                self._stirred.clear()
                await self._look(home, self.switching)
                self._raise_what_ended()
                await home.clock.wait(self._stirred, LOOK)
        finally:
            await self._only(home, ())

    async def drain(self) -> None:
        self._stop = True
        self._stirred.set()

    async def pause(self) -> None:
        self.paused = True
        for one in self._running.values():
            await one.consumer.pause()

    def resume(self) -> None:
        self.paused = False
        for one in self._running.values():
            one.consumer.resume()

    # --- looking ----------------------------------------------------------------------------

    async def _look(self, home: Host, switching: Switching) -> None:
        try:
            standing = await switching.find()
            if standing is None:
                return
            if standing.asked and self._is_ours(standing):
                await switching.start_anew()
                standing = await switching.find() or standing
            await self._only(home, self._wanted(standing))
            if self._is_ours(standing):
                await self._move(standing, switching)
        except UnavailableError as error:
            _log.warning("%s waits: %s", self.name, error)

    async def _move(self, standing: Standing, switching: Switching) -> None:
        try:
            await switching.advance(standing)
            await switching.clear(standing)
        except UnavailableError:
            raise
        except IsthmusError as error:  # another was first, or will be; the next look tells
            _log.warning("%s goes on as it is: %s", self.name, error)

    def _is_ours(self, standing: Standing) -> bool:
        """Whether this code is the newest that has to do with it."""
        return self._version == (standing.building or standing.live).version

    def _wanted(self, standing: Standing) -> Sequence[int]:
        """Return the generations that this code has to read for."""
        wanted = [] if standing.switching_at else [standing.live]
        if standing.building is not None:
            wanted.append(standing.building)
        return [each.number for each in wanted if each.version == self._version]

    async def _only(self, home: Host, wanted: Sequence[int]) -> None:
        for number in self._running.keys() - set(wanted):
            await self._running.pop(number).end()
        for number in wanted:
            if number not in self._running:
                self._running[number] = await self._start(home, number)

    async def _start(self, home: Host, number: int) -> _Running:
        assert self.switching is not None
        of = self.switching.group(number)
        await home.letters.declare(of.topic, of.name, ordered=True)
        letters, kept = DeadLetters(home, of), self._options
        await letters.open(retention=kept.dead_retention, max_length=kept.dead_length)
        consumer = GroupConsumer(of, _Bound(self._bind, number), self._options)
        if self.paused:
            await consumer.pause()
        return _Running(consumer, home)

    def _raise_what_ended(self) -> None:
        """A consumer that raised ends the worker, with its error."""
        ended: Mapping[int, _Running] = {
            number: one for number, one in self._running.items() if one.task.done()
        }
        for number, one in ended.items():
            del self._running[number]
            one.task.result()
