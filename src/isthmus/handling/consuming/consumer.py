"""The consumer loop: takes deliveries, has them handled, settles them.

    receive ──► sift ──► pool of slots ──► attempt ──► commit, or finishing
                  │            ▲
                  └ suspects   └ the watch extends leases and cuts what takes too long
                    alone

How much is taken ahead adapts to the handlers' speed: quick ones share commits,
slow ones leave the work to other processes.
"""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import chain

from isthmus.contracts import Delivery, Receiver
from isthmus.errors import UnavailableError
from isthmus.handling.calling.handler import Bindable
from isthmus.handling.consuming.attempts import Attempts
from isthmus.handling.consuming.failing import Failing
from isthmus.handling.consuming.finishing import Finishing
from isthmus.handling.consuming.inbox import Inbox
from isthmus.handling.consuming.intermission import Intermission
from isthmus.handling.consuming.options import HandlerOptions
from isthmus.handling.consuming.pace import Pace
from isthmus.handling.consuming.pool import Pool
from isthmus.handling.consuming.sift import Sift
from isthmus.handling.consuming.subscription import Subscription
from isthmus.handling.consuming.suspects import Suspects
from isthmus.handling.consuming.watch import Watch
from isthmus.handling.facts import ConsumerStalled
from isthmus.handling.host import Host

__all__ = ["Consumer"]

QUICK, SLOW = 0.05, 0.25
"""What was taken and is used up within QUICK seconds is doubled; after SLOW, halved."""
MOST = 512
"""Deliveries taken at once at most, unless concurrency or batch are larger."""


class Consumer:
    """One subscription's consumer in this process; a Worker."""

    def __init__(
        self, of: Subscription, handler: Bindable, options: HandlerOptions, *, kind: str = "queue"
    ) -> None:
        self.of, self._handler, self._options = of, handler, options
        self.name = f"{kind}:{of.address}"
        self._gate = _gate(opened=True)
        self._draining = False
        self._session: _Session | None = None

    @property
    def batched(self) -> bool:
        """Whether several messages are handled by one call."""
        return self._options.batch > 1

    @property
    def paused(self) -> bool:
        return not self._gate.is_set()

    @property
    def in_hand(self) -> Sequence[str]:
        """The receipts of what is taken and not settled yet."""
        return () if self._session is None else self._session.in_hand

    async def run(self, host: Host) -> None:
        """Consume until drained; what was begun is settled when it returns. An App may be
        run again, on another loop."""
        self._draining, self._gate = False, _gate(opened=not self.paused)
        while not self._draining:
            await self._gate.wait()
            if not self._draining:
                await self._consume(host)

    async def drain(self) -> None:
        self._draining = True
        self._gate.set()
        await self._end_session()

    async def pause(self) -> None:
        """Begin nothing more until `resume`; what is not begun goes back, uncounted."""
        self._gate.clear()
        await self._end_session()

    def resume(self) -> None:
        self._gate.set()

    async def _consume(self, host: Host) -> None:
        most = max(MOST, 2 * self._options.concurrency, 2 * self._options.batch)
        try:
            receiver = await self._receiver(host, limit=4 * most)
        except UnavailableError as error:
            return await stalled(host, self.of.address, error)
        self._session = _Session(host, self.of, self._handler, self._options, receiver, most)
        try:
            if not self._draining and not self.paused:
                await self._session.run()
        finally:
            self._session = None
            with suppress(UnavailableError):  # else it ends by its leases
                await receiver.aclose()

    async def _receiver(self, host: Host, *, limit: int) -> Receiver:
        return await host.queue.receiver(
            self.of.topic, self.of.name, limit=limit, lease=self._options.lease
        )

    async def _end_session(self) -> None:
        if self._session is not None:
            await self._session.end()


def _gate(*, opened: bool) -> asyncio.Event:
    gate = asyncio.Event()
    if opened:
        gate.set()
    return gate


class _Session:
    """From opening a receiver to closing it."""

    def __init__(
        self,
        host: Host,
        of: Subscription,
        handler: Bindable,
        options: HandlerOptions,
        receiver: Receiver,
        most: int,
    ) -> None:
        self._host, self._of, self._options = host, of, options
        self._receiver, self._most = receiver, most
        self._least = self._appetite = max(options.concurrency, options.batch)
        self._hungry, self._ended = asyncio.Event(), False
        self._failure: Exception | None = None
        self._giving = set[asyncio.Task[None]]()
        inbox = Inbox(host.store, of.inbox, retention=options.inbox)
        failing = Failing(host, of, options.retry, receiver)
        self._finishing = Finishing(host, of, inbox, receiver, settled=self._on_taken)
        self._intermission = Intermission(host, of.address, began=self._on_pause)
        self._attempts = Attempts(
            host,
            of,
            handler.bind(host),
            inbox=inbox,
            receiver=receiver,
            finishing=self._finishing,
            failing=failing,
            intermission=self._intermission,
        )
        self._sift = Sift(
            host,
            of,
            options.where,
            inbox=inbox,
            attempts=self._attempts,
            finishing=self._finishing,
            failing=failing,
            held=self._held,
            batched=options.batch > 1,
        )
        self._aside: list[Delivery] = []
        self._suspects = Suspects(
            host,
            of,
            handle=self._handle_alone,
            attempts=self._attempts,
            failing=failing,
            keep=options.inbox,
        )
        self._pace = Pace(host, of.address, options.rate)
        self._pool = Pool(
            self._attempts.attempt,
            concurrency=options.concurrency,
            batch=options.batch,
            linger=options.linger,
            clock=host.clock,
            taken=self._on_taken,
            failed=self._on_failure,
        )
        self._pool.low = self._appetite // 2
        self._watch = Watch(
            host,
            of,
            options,
            attempts=self._attempts,
            receiver=receiver,
            pool=self._pool,
            held=self._held,
        )

    async def run(self) -> None:
        watch = asyncio.create_task(self._watch.run())
        try:
            await self._fetch()
            await self._give_back(self._pool.take_back())
            await self._pool.close()
            await self._finishing.done()
            if self._giving:
                await asyncio.wait(self._giving)
            if self._failure is not None:
                raise self._failure
        finally:
            watch.cancel()
            self._intermission.close()
            await self._give_back(self._pool.abandon())

    @property
    def in_hand(self) -> Sequence[str]:
        return [delivery.receipt for delivery in self._held()]

    async def end(self) -> None:
        """Take no more; `run` returns once what was begun is settled."""
        self._ended = True
        self._hungry.set()
        if self._intermission.on:
            self._intermission.stir()
            self._on_pause()
        with suppress(UnavailableError):  # then there is nothing more to take
            await self._receiver.drain()

    async def _fetch(self) -> None:
        while not self._ended:
            try:
                if self._intermission.on:
                    await self._probe()
                    continue
                wanted, suspects = await self._sift.sift(await self._receive())
            except UnavailableError as error:
                await stalled(self._host, self._of.address, error)
                continue
            if self._intermission.on:  # begun while this waited
                await self._give_back([*wanted, *suspects])
                continue
            self._pool.offer(wanted)
            if suspects:
                await self._one_by_one(suspects)
            await self._until_hungry()

    async def _one_by_one(self, suspects: Sequence[Delivery]) -> None:
        self._aside = list(suspects)
        await self._pool.idle()
        while self._aside and not self._ended:
            async with self._host.solitude:
                await self._suspects.alone(self._aside.pop())
            if self._intermission.on:
                break
        back, self._aside = self._aside, []
        await self._give_back(back)

    async def _handle_alone(self, suspect: Delivery) -> None:
        self._pool.offer([suspect])
        await self._pool.idle()

    async def _receive(self) -> Sequence[Delivery]:
        room = await self._pace.allow(self._appetite)
        return await self._receiver.receive(room, wait=self._options.lease)

    async def _give_back(self, batch: Sequence[Delivery]) -> None:
        if batch:
            await self._attempts.give_back(batch)

    def _held(self) -> Iterator[Delivery]:
        return chain(self._pool, self._finishing, self._aside)

    # --- while a circuit is open ------------------------------------------------------------

    async def _probe(self) -> None:
        """Wait until the circuit may be tried, and try it with one message."""
        if not await self._intermission.turn(self, stop=lambda: self._ended):
            return
        wanted, suspects = await self._one_at_most()
        tried = bool(suspects)
        if wanted:
            tried = await self._pool.through(wanted[0])
        elif suspects:
            await self._one_by_one(suspects)
        (self._intermission.passed if tried else self._intermission.forgo)(self)

    async def _one_at_most(self) -> tuple[Sequence[Delivery], Sequence[Delivery]]:
        try:
            return await self._sift.sift(await self._receiver.receive(1, wait=self._options.lease))
        except UnavailableError:
            self._intermission.forgo(self)
            raise

    def _on_pause(self) -> None:
        """Let others have what is not begun."""
        self._appetite = self._least
        self._hungry.set()
        if back := self._pool.take_back():
            giving = asyncio.create_task(self._give_back(back))
            self._giving.add(giving)
            giving.add_done_callback(self._giving.discard)

    # --- how much to take -------------------------------------------------------------------

    async def _until_hungry(self) -> None:
        began = self._host.clock.now()
        while self._full() and not self._ended:
            self._hungry.clear()
            await self._hungry.wait()
        took = self._host.clock.now() - began
        if took < QUICK:
            self._appetite = min(self._most, 2 * self._appetite)
        elif took > SLOW:
            self._appetite = max(self._least, self._appetite // 2)
        self._pool.low = self._appetite // 2

    def _full(self) -> bool:
        return self._pool.waiting > self._pool.low or self._finishing.count > 2 * self._most

    def _on_failure(self, error: Exception) -> None:
        """A fault of ours, not of a handler: end, and say so."""
        self._failure = self._failure or error
        self._ending = asyncio.create_task(self.end())

    def _on_taken(self) -> None:
        if not self._hungry.is_set() and not self._full():
            self._hungry.set()


async def stalled(host: Host, address: str, error: Exception) -> None:
    """Tell that the engine is out of reach, and wait before it is tried again."""
    host.signals.emit(ConsumerStalled(address=address, error=str(error)))
    await host.clock.sleep(1.0)
