"""The worker of one saga in a process: takes what its sagas are told, and has them driven."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress

from isthmus.contracts import Ack, Delivery, Nack, Receiver
from isthmus.errors import ConflictError, IsthmusError, LeaseLostError, UnavailableError
from isthmus.handling.facts import ConsumerStalled
from isthmus.handling.host import Host
from isthmus.message import Message
from isthmus.sagas.drive import Drive, LeftError
from isthmus.sagas.family import RUN, TIMERS, Families, Family
from isthmus.sagas.watch import Watch

__all__ = ["SagaWorker"]

_log = logging.getLogger("isthmus.sagas")

SUSPECT = 3
"""Processes that died with a saga in hand before it is driven alone."""
DUE = 500
"""Timers taken at once."""
WAIT = 60.0


class SagaWorker:
    """A Worker: drives the sagas of one name, whatever their version."""

    def __init__(self, name: str) -> None:
        self._saga = name
        self.name = f"saga:{name}"
        self._draining, self._paused = False, False
        self._gate = asyncio.Event()
        self._session: _Session | None = None

    @property
    def paused(self) -> bool:
        return self._paused

    @property
    def in_hand(self) -> Sequence[object]:
        """What is being driven, and how far."""
        return () if self._session is None else self._session.in_hand

    async def run(self, host: Host) -> None:
        """Drive sagas until drained; what was begun has let go when it returns."""
        self._draining, self._gate = False, asyncio.Event()
        if not self._paused:
            self._gate.set()
        family = host.kept(Families).of(self._saga)
        while not self._draining:
            await self._gate.wait()
            if self._draining:
                break
            self._session = _Session(family)
            try:
                await self._session.run()
            except UnavailableError as error:
                host.signals.emit(ConsumerStalled(address=self.name, error=str(error)))
                await host.clock.sleep(1.0)
            finally:
                self._session = None

    async def drain(self) -> None:
        self._draining = True
        self._gate.set()
        if self._session is not None:
            await self._session.end()

    async def pause(self) -> None:
        """Drive nothing more until `resume`."""
        self._paused = True
        self._gate.clear()
        if self._session is not None:
            await self._session.end()

    def resume(self) -> None:
        self._paused = False
        self._gate.set()


class _Session:
    """From opening the receivers to closing them."""

    def __init__(self, family: Family) -> None:
        self._family, self._host = family, family.host
        self._options = family.newest_options
        self._drives: dict[asyncio.Task[None], tuple[Drive, Delivery]] = {}
        self._receivers: list[Receiver] = []
        self._ended = False
        self._watch = Watch(family.host.clock)

    @property
    def in_hand(self) -> Sequence[object]:
        return [
            (each.receipt, drive.commits, drive.leaving) for drive, each in self._drives.values()
        ]

    async def run(self) -> None:
        family, lease = self._family, self._options.lease
        open_ = family.queue.receiver
        told = await open_(family.topic, RUN, limit=self._options.concurrency, lease=lease)
        due = await open_(family.timers, TIMERS, limit=DUE, lease=lease)
        self._receivers = [told, due]
        keeping = [
            asyncio.create_task(each)
            for each in (self._extend(told), self._watch.run(), self._forward(due))
        ]
        taking = asyncio.create_task(self._taken(told))
        try:
            done: set[asyncio.Task[None]] = set()
            while taking not in done:
                left = {taking, *keeping} - done
                done |= (await asyncio.wait(left, return_when=asyncio.FIRST_COMPLETED))[0]
                for task in done:
                    task.result()  # one that keeps the house fails all
        finally:
            for task in (taking, *keeping, *self._drives):
                task.cancel()
            await asyncio.wait([taking, *keeping, *self._drives])
            for receiver in self._receivers:
                with suppress(UnavailableError):
                    await receiver.aclose()

    async def end(self) -> None:
        self._ended = True
        for drive, _ in self._drives.values():
            drive.leaving = True
        for receiver in self._receivers:
            with suppress(UnavailableError):
                await receiver.drain()

    # --- driving ----------------------------------------------------------------------------

    async def _taken(self, receiver: Receiver) -> None:
        await self._take(receiver)
        await self._until(lambda: not self._drives)

    async def _take(self, receiver: Receiver) -> None:
        while not self._ended:
            room = self._options.concurrency - len(self._drives)
            if room <= 0:
                await asyncio.wait(self._drives, return_when=asyncio.FIRST_COMPLETED)
                continue
            for delivery in await receiver.receive(room, wait=WAIT):
                if delivery.lapses >= SUSPECT:
                    await self._alone(delivery, receiver)
                else:
                    self._begin(delivery, receiver)

    def _begin(self, delivery: Delivery, receiver: Receiver) -> asyncio.Task[None]:
        drive = Drive(self._family, delivery, receiver, self._watch)
        task = asyncio.create_task(self._driven(drive, delivery, receiver))
        self._drives[task] = (drive, delivery)
        task.add_done_callback(self._drives.pop)
        return task

    async def _alone(self, delivery: Delivery, receiver: Receiver) -> None:
        """Drive one that processes died of, perhaps, while no other is in hand here."""
        await self._until(lambda: not self._drives)
        async with self._host.solitude:
            await asyncio.wait([self._begin(delivery, receiver)])

    async def _until(self, holds: Callable[[], bool]) -> None:
        while not holds():
            await asyncio.wait(self._drives, return_when=asyncio.FIRST_COMPLETED)
            await asyncio.sleep(0)

    async def _driven(self, drive: Drive, delivery: Delivery, receiver: Receiver) -> None:
        try:
            await drive.run()
        except LeaseLostError:
            pass  # another has it
        except LeftError:
            await self._give_back(receiver, delivery, 0.0)
        except ConflictError:
            await self._give_back(receiver, delivery, 0.1)
        except UnavailableError as error:
            self._host.signals.emit(ConsumerStalled(address=self._address, error=str(error)))
            await self._give_back(receiver, delivery, 1.0)
        except asyncio.CancelledError:
            await self._give_back(receiver, delivery, 0.0)
            raise
        except Exception:  # noqa: BLE001 - a fault of ours, perhaps of one saga only
            _log.exception("saga %s could not be driven; it is tried again", drive.key)
            await self._give_back(receiver, delivery, 5.0)

    @property
    def _address(self) -> str:
        return f"saga:{self._family.name}"

    async def _give_back(self, receiver: Receiver, delivery: Delivery, delay: float) -> None:
        with suppress(IsthmusError):  # else it comes back by its lease
            await receiver.settle([Nack(delivery.receipt, delay, counted=False)])

    async def _extend(self, receiver: Receiver) -> None:
        """Hold what is driven for as long as it takes."""
        while True:
            await self._host.clock.sleep(self._options.lease / 3)
            held = {each.receipt: task for task, (_, each) in self._drives.items()}
            if not held:
                continue
            try:
                await receiver.extend(list(held))
            except LeaseLostError as error:
                for receipt in map(str, error.lost):
                    held[receipt].cancel()
            except UnavailableError:
                pass  # the leases stand for two thirds of their span yet

    # --- timers -----------------------------------------------------------------------------

    async def _forward(self, receiver: Receiver) -> None:
        """Tell sagas what is due."""
        while not self._ended:
            try:
                due = await receiver.receive(DUE, wait=WAIT)
                if due:
                    await self._tell(receiver, due)
            except UnavailableError as error:
                self._host.signals.emit(ConsumerStalled(address=self._address, error=str(error)))
                await self._host.clock.sleep(1.0)

    async def _tell(self, receiver: Receiver, due: Sequence[Delivery]) -> None:
        family = self._family
        told = [Message(body=m.body, key=m.key, time=m.time) for m in (d.message for d in due)]
        with suppress(LeaseLostError):  # another process tells them
            async with family.store.begin() as tx:
                await family.queue.send(family.topic, told, tx=tx)
                await receiver.settle([Ack(each.receipt) for each in due], tx=tx)
