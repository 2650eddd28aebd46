"""The worker of one flow's deadlines in a process: judges what is due, publishes compensations."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress

from isthmus.contracts import Ack, Delivery, Nack, Receiver, Transaction, Waiting
from isthmus.errors import ConflictError, IsthmusError, LeaseLostError, UnavailableError
from isthmus.flows.facts import CompensationFailed
from isthmus.flows.timers import Due
from isthmus.flows.tracker import Tracker
from isthmus.handling.facts import ConsumerStalled
from isthmus.handling.host import Host
from isthmus.handling.unit import repeat
from isthmus.signals import Signal

__all__ = ["Deadlines", "subscription"]

_log = logging.getLogger("isthmus.flows")

MOST, LEASE, WAIT = 32, 30.0, 60.0
"""Deadlines judged at once; seconds that they are held; seconds of one look for more."""
SOON, LATEST = 1.0, 300.0
"""Seconds until a deadline is judged again: the first time, and at most."""
BEHIND = 30.0
"""Seconds until the next look at what is behind, at most."""
LOOK = 100
"""Waiting events that are looked at, of each topic."""


class Deadlines:
    """A Worker.

    A deadline is judged once everything that was published before it has been seen: a process
    that was down, or is slow, or paused, lets nothing time out by its own absence.
    """

    def __init__(
        self, flow: str, tracker: Callable[[], Tracker], topics: Callable[[], Sequence[str]]
    ) -> None:
        self.name = f"flow:{flow}"
        self._flow, self._tracker, self._topics = flow, tracker, topics
        self._draining, self._opened = False, asyncio.Event()
        self._opened.set()
        self._receiver: Receiver | None = None
        self._held: Sequence[Delivery] = ()

    @property
    def paused(self) -> bool:
        return not self._opened.is_set()

    @property
    def in_hand(self) -> Sequence[str]:
        return [each.receipt for each in self._held]

    async def run(self, host: Host) -> None:
        """Judge until drained; while the store is out of reach, wait for it."""
        paused = self.paused
        self._draining, self._opened = False, asyncio.Event()
        if not paused:
            self._opened.set()
        while not self._draining:
            await self._opened.wait()
            if self._draining:
                break
            try:
                await self._session(host)
            except UnavailableError as error:
                host.signals.emit(ConsumerStalled(address=self.name, error=str(error)))
                await host.clock.sleep(SOON)

    async def drain(self) -> None:
        self._draining = True
        self._opened.set()
        await self._end()

    async def pause(self) -> None:
        """Judge nothing more until `resume`."""
        self._opened.clear()
        await self._end()

    def resume(self) -> None:
        self._opened.set()

    async def _end(self) -> None:
        if self._receiver is not None:
            with suppress(UnavailableError):  # then there is nothing more to take
                await self._receiver.drain()

    async def _session(self, host: Host) -> None:
        tracker = self._tracker()
        receiver = self._receiver = await tracker.timers.receiver(limit=MOST, lease=LEASE)
        try:
            while not self._draining and not self.paused:
                self._held = await receiver.receive(MOST, wait=WAIT)
                await self._judge_all(host, tracker, receiver, self._held)
                self._held = ()
        finally:
            self._receiver, self._held = None, ()
            with suppress(UnavailableError):  # else it ends by its leases
                await receiver.aclose()

    # --- judging ----------------------------------------------------------------------------

    async def _judge_all(
        self, host: Host, tracker: Tracker, receiver: Receiver, batch: Sequence[Delivery]
    ) -> None:
        if not batch:
            return
        behind = await self._behind(host)
        for delivery in batch:
            due = tracker.timers.read(delivery.message)
            if any(_came_before(waiting, due.at) for waiting in behind):
                late = host.clock.now() - due.at
                delay = min(BEHIND, SOON + late / 4)
                await _again(receiver, delivery, delay, counted=False)
            else:
                await self._judge(host, tracker, receiver, delivery, due)

    async def _judge(
        self, host: Host, tracker: Tracker, receiver: Receiver, delivery: Delivery, due: Due
    ) -> None:
        async def work(tx: Transaction) -> Sequence[Signal]:
            told = await tracker.missed(due, tx=tx)
            await receiver.settle([Ack(delivery.receipt)], tx=tx)
            return told

        try:
            for signal in await repeat(host.store, work):
                host.signals.emit(signal)
        except LeaseLostError:
            pass  # another process judges it
        except (ConflictError, UnavailableError):
            await _again(receiver, delivery, SOON, counted=False)
        except Exception as error:  # noqa: BLE001 - whatever a function raises
            await self._failed(host, receiver, delivery, due, error)

    async def _failed(
        self, host: Host, receiver: Receiver, delivery: Delivery, due: Due, error: Exception
    ) -> None:
        """What compensates is never given up: it is tried until it works."""
        delay = min(LATEST, SOON * 2.0 ** min(delivery.attempt - 1, 20))
        _log.exception(
            "flow %s/%s: %s is missing, and what compensates failed; again in %.0f s",
            self._flow,
            due.key,
            due.name,
            delay,
            exc_info=error,
        )
        host.signals.emit(
            CompensationFailed(
                flow=self._flow,
                key=due.key,
                missing=due.name,
                attempt=delivery.attempt,
                delay=delay,
                error=f"{type(error).__name__}: {error}",
            )
        )
        await _again(receiver, delivery, delay)

    async def _behind(self, host: Host) -> Sequence[Waiting]:
        """Return events that this flow has not seen yet."""
        if not host.queue.capabilities.browsable:
            return ()
        found: list[Waiting] = []
        for topic in self._topics():
            found += await host.queue.browse(topic, subscription(self._flow), limit=LOOK)
        return found


def subscription(flow: str) -> str:
    """Return the name under which a flow subscribes to its topics."""
    return f"flow-{flow}"


def _came_before(waiting: Waiting, at: float) -> bool:
    """Whether it could have been handled by that moment; what was sent with a delay could not."""
    tried = waiting.leased or waiting.attempt > 1
    return waiting.sent_at <= at and (tried or waiting.ready_at <= at)


async def _again(
    receiver: Receiver, delivery: Delivery, delay: float, *, counted: bool = True
) -> None:
    with suppress(IsthmusError):  # else it comes back by its lease
        await receiver.settle([Nack(delivery.receipt, delay, counted=counted)])
