"""Reading a stream as a member of a group, for as long as the process runs."""

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress

from isthmus.contracts import Edge, Member
from isthmus.errors import IsthmusError, UnavailableError
from isthmus.handling.calling.handler import Bindable
from isthmus.handling.facts import ConsumerStalled
from isthmus.handling.host import Host
from isthmus.streams.facts import GroupStopped
from isthmus.streams.options import GroupOptions
from isthmus.streams.parked import ParkedConsumer, beside_the_rows
from isthmus.streams.place import Place
from isthmus.streams.session import Session

__all__ = ["GroupConsumer"]

_log = logging.getLogger("isthmus.streams")


class GroupConsumer:
    """One group's consumer in this process, and that of its parked records; a Worker."""

    def __init__(self, of: Place, handler: Bindable, options: GroupOptions) -> None:
        self.of, self._handler, self._options = of, handler, options
        self.name = f"stream:{of.address}"
        self._parked = ParkedConsumer(of, handler, options.handling())
        self._gate = asyncio.Event()
        self._gate.set()
        self._draining = False
        self._session: Session | None = None

    @property
    def paused(self) -> bool:
        return not self._gate.is_set()

    @property
    def in_hand(self) -> Sequence[str]:
        """The places of what is read and not done, and the receipts of what is parked."""
        reading = () if self._session is None else self._session.in_hand
        return [*reading, *self._parked.in_hand]

    async def run(self, host: Host) -> None:
        """Read until drained; what was begun is done when it returns."""
        self._draining = False  # an App may be run again
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(self._read(host))
                await self._parked.run(beside_the_rows(host))  # begun before any drain of it
        except ExceptionGroup as several:
            raise several.exceptions[0] from several

    async def drain(self) -> None:
        self._draining = True
        self._gate.set()
        await self._parked.drain()
        await self._end_session()

    async def pause(self) -> None:
        """Begin nothing more until `resume`; other processes take the partitions."""
        self._gate.clear()
        await self._parked.pause()
        await self._end_session()

    def resume(self) -> None:
        self._parked.resume()
        self._gate.set()

    async def _read(self, host: Host) -> None:
        while not self._draining:
            await self._gate.wait()
            if not self._draining:
                await self._join_and_read(host)

    async def _join_and_read(self, host: Host) -> None:
        try:
            member = await self._join(host)
        except UnavailableError as error:
            host.signals.emit(ConsumerStalled(address=self.of.address, error=str(error)))
            return await host.clock.sleep(1.0)
        session = Session(host, self.of, self._options, self._handler.bind(host), member)
        self._session = session
        try:
            if not self._draining and not self.paused:
                await session.run()
        finally:
            self._session = None
            with suppress(IsthmusError):  # else the membership ends by its session
                await member.aclose()
        if session.stopped is not None:
            await self._stop(host, session.stopped)
        elif session.broken is not None:
            await host.clock.sleep(1.0)

    async def _join(self, host: Host) -> Member:
        start: Edge = "first" if self._options.start == "earliest" else "end"
        session = self._options.session or host.settings.session
        return await host.log.join(self.of.stream, self.of.group, start=start, session=session)

    async def _stop(self, host: Host, error: Exception) -> None:
        _log.error("%s stops reading: %s", self.name, error)
        host.signals.emit(GroupStopped(address=self.of.address, error=str(error)))
        await self.pause()

    async def _end_session(self) -> None:
        if self._session is not None:
            await self._session.end()
