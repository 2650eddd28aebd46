"""All that one transaction can tie together, in the words of its tests."""

import pytest
import pytest_asyncio

from isthmus.clock import Clock
from isthmus.contracts import Engine, Transaction
from isthmus.testing.conformance.ledger import Ledger
from isthmus.testing.conformance.orders import Orders
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
