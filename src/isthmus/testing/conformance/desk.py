"""All that one transaction can tie together, in the words of its tests."""

import pytest
import pytest_asyncio

from isthmus.clock import Clock
from isthmus.contracts import Delivery, Engine, Member, Transaction
from isthmus.testing.conformance.ledger import Ledger, texts
from isthmus.testing.conformance.orders import Orders, Taker
from isthmus.testing.conformance.shelf import Shelf
from isthmus.testing.conformance.wiring import Conformance, Opening

__all__ = ["Desk", "DeskTests"]


class Desk:
    """A store, with the queue and the log of its scope."""

    def __init__(self, shelf: Shelf, orders: Orders, ledger: Ledger) -> None:
        self.shelf = shelf
        self._orders = orders
        self._ledger = ledger
        self.name = orders.name = ledger.name = shelf.name

    @property
    def orders(self) -> Orders:
        queue = self._orders.engine.queue
        if queue is None or queue.capabilities.scope != self.shelf.able.scope:
            pytest.skip("capability: scope of the queue")
        return self._orders

    @property
    def ledger(self) -> Ledger:
        log = self._ledger.engine.log
        if log is None or log.capabilities.scope != self.shelf.able.scope:
            pytest.skip("capability: scope of the log")
        return self._ledger

    def begin(self) -> Transaction:
        return self.shelf.store.begin()

    async def held(self, text: str = "a") -> tuple[Taker, Delivery]:
        """A message that was sent and taken."""
        taker = await self.orders.taker(lease=30)
        await self.orders.send(text)
        return taker, await taker.one()

    async def stale(self) -> tuple[Taker, Delivery]:
        """A delivery that is no longer the taker's."""
        taker, delivery = await self.held()
        await taker.ack(delivery)
        return taker, delivery

    async def owner(self) -> Member:
        """A member that owns the log's one partition, with two records in it."""
        await self.ledger.append("r1", "r2")
        return await self.ledger.owner()

    async def versioned(self) -> Ledger:
        """Another log, whose records have versions."""
        log = self.ledger
        if not log.able.versioned:
            pytest.skip("capability: versioned")
        other = log.beside(log.engine)
        await other.declare_versioned()
        return other

    async def one_of_each(self, tx: Transaction) -> None:
        """Send, settle, append and put in `tx`, to see whether it is undone."""
        taker, delivery = await self.held("held")
        await self.orders.send("sent", tx=tx)
        await taker.nack(delivery, delay=1000, headers={"x": "1"}, tx=tx)
        await self.ledger.append("appended", tx=tx)
        await self.shelf.put("put", "1", tx=tx)

    async def shows_no_trace(self) -> bool:
        """Whether nothing of `one_of_each` is there; the held message comes back."""
        await self.orders.elapse(31)
        taken = await (await self.orders.taker()).take_all()
        return (
            [(each.message.body, each.message.headers) for each in taken] == [(b"held", {})]
            and "appended" not in texts(await self.ledger.read())
            and await self.shelf.values("put") == {}
        )


class DeskTests(Conformance):
    @pytest_asyncio.fixture
    async def desk(self, engine: Engine, clock: Clock, opening: Opening) -> Desk:
        if engine.store is None:
            pytest.skip("contract: store")
        desk = Desk(
            self.rig(Shelf, engine, clock, opening),
            self.rig(Orders, engine, clock, opening),
            self.rig(Ledger, engine, clock, opening),
        )
        if engine.queue is not None:
            await engine.queue.declare(f"orders-{desk.name}", "billing")
        if engine.log is not None:
            await engine.log.declare(f"ledger-{desk.name}", partitions=1)
        return desk
