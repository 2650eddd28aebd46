"""What handlers did, told by the database: an entry in each handler's own transaction.

The entry commits with the handler's rows, or not at all, under a key that no other
attempt has. So two entries for one message are an effect that was had twice, and none
is an effect that is missing, whatever anybody believes.
"""

import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from isthmus.app import App
from isthmus.contracts import Delivery, Put, Record, StoreEngine
from isthmus.handling.calling.middleware import Incoming, Proceed
from isthmus.handling.schedules import DeclaredSchedule
from isthmus.handling.unit import current
from isthmus.messaging import DeclaredHandler
from isthmus.streams import DeclaredGroup
from isthmus.testing.simulation.world import World

__all__ = ["Audit", "knows_ids", "unit_of"]

SPACE = "isthmus.simulation"
PAGE = 1000

FAILS_FIRST, FAILS_LAST = 0.03, 0.03
"""How many handlings fail before the handler runs, and after it has run."""
DAWDLES = 0.3
"""How many handlings take a while, before and after."""


class SimulatedError(Exception):
    """What a handler fails with, because the seed says so."""


class Audit:
    """Around every handler of every process of a simulation."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._serial = itertools.count()
        self.calm = False
        self.ran: set[tuple[str, str]] = set()
        """What was handled without a transaction, at least once: (address, message)."""

    def around(self, app: App, name: str) -> None:
        """Watch the handlers of `app`, the process `name`; declared first, it is outermost."""

        @app.middleware
        async def audit(incoming: Incoming, proceed: Proceed) -> None:
            place = places(app)[incoming.handler]
            await self._suffer(FAILS_FIRST)
            failed = await proceed() or {}
            done = [
                unit_of(each, by_id=place.by_id)
                for index, each in enumerate(_batch())
                if index not in failed
            ]
            await self._note(app.declarations.host.store, place.address, done)
            self._world.note(name, f"{place.address} handled {', '.join(done)}")
            await self._suffer(FAILS_LAST)

    async def done(self, store: StoreEngine) -> Mapping[str, Counter[str]]:
        """Return how often each message was handled, by address."""
        found: dict[str, Counter[str]] = {}
        after = ""
        while page := await store.scan(SPACE, after=after, limit=PAGE):
            for key, _ in page:
                _, address, message = key.split(" ", 2)
                found.setdefault(address, Counter())[message] += 1
            after = page[-1][0]
        return found

    async def _note(self, store: StoreEngine, address: str, done: Sequence[str]) -> None:
        unit = current.get()
        if unit is None or unit.tx is None:
            self.ran.update((address, each) for each in done)
            return
        keys = [f"{next(self._serial):09d} {address} {each}" for each in done]
        await store.put(SPACE, [Put(key, b"") for key in keys], tx=unit.tx)

    async def _suffer(self, fails: float) -> None:
        draw = self._world.random
        if draw.random() < DAWDLES:
            await self._world.sleep(draw.expovariate(1.0))
        if not self.calm and draw.random() < fails:
            raise SimulatedError("the seed says that this fails")


class Place(NamedTuple):
    """Where a handler takes from, and whether an id is handled once there, or each record."""

    address: str
    by_id: bool


def places(app: App) -> Mapping[str, Place]:
    """Return the place of each handler, by its function."""
    model = app.describe()
    found = {each.function: Place(each.name, by_id=True) for each in model.of(DeclaredHandler)}
    found |= {each.function: Place(each.topic, by_id=True) for each in model.of(DeclaredSchedule)}
    found |= {each.function: Place(each.name, knows_ids(each)) for each in model.of(DeclaredGroup)}
    return {function.replace(":", "."): place for function, place in found.items()}


def knows_ids(group: DeclaredGroup) -> bool:
    """Whether a group handles an id once, however often it was appended."""
    return group.options.inbox is not None


def unit_of(handled: Delivery | Record, *, by_id: bool) -> str:
    """Return the name of what is to be handled once."""
    if by_id or isinstance(handled, Delivery):
        return handled.message.id
    return f"{handled.partition}:{handled.offset} {handled.message.id}"


def _batch() -> Sequence[Delivery | Record]:
    unit = current.get()
    return unit.batch if unit else ()
