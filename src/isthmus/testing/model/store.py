"""Random calls on two stores."""

from collections.abc import Sequence
from typing import Any
from unittest import TestCase

from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule

from isthmus.contracts import Put
from isthmus.testing.model.machine import Machine, test_case, transactions
from isthmus.testing.model.twins import OpenEmpty, Side

__all__ = ["store_model"]

spaces = st.sampled_from(["inbox", "inbox", "sagas"])
keys = st.sampled_from(["a", "b", "c"])
puts = st.lists(
    st.builds(
        Put,
        key=keys,
        value=st.sampled_from([b"", b"1", b"2", None]),
        if_version=st.sampled_from([None, None, 0, 1, 2, 3]),
        ttl=st.sampled_from([None, None, 5.0, 10.0]),
    ),
    max_size=4,
)
maybe_tx = st.one_of(st.none(), transactions)


class StoreMachine(Machine):
    side = Side

    @rule(space=spaces, some=puts, tx=maybe_tx)
    def put(self, space: str, some: Sequence[Put], tx: int | None) -> None:
        self.ask(lambda side: side.store.put(space, some, tx=side.tx(tx)))

    @rule(space=spaces, some=st.lists(keys, unique=True), tx=maybe_tx)
    def get(self, space: str, some: Sequence[str], tx: int | None) -> None:
        async def got(side: Side) -> Any:
            return dict(await side.store.get(space, some, tx=side.tx(tx)))

        self.ask(got)

    @rule(space=spaces, after=st.sampled_from(["", "a", "bb", "d"]), limit=st.integers(1, 4))
    def scan(self, space: str, after: str, limit: int) -> None:
        async def scanned(side: Side) -> Any:
            return list(await side.store.scan(space, after=after, limit=limit))

        self.ask(scanned)

    def any_call(self, data: st.DataObject, tx: int | None) -> None:
        if data.draw(st.booleans()):
            self.put(data.draw(spaces), data.draw(puts), tx)
        else:
            self.get(data.draw(spaces), data.draw(st.lists(keys, unique=True, min_size=1)), tx)

    @rule()
    def maintain(self) -> None:
        self.ask(lambda side: side.store.maintain())

    @invariant()
    def hold_the_same(self) -> None:
        async def held(side: Side) -> Any:
            return [list(await side.store.scan(space)) for space in ("inbox", "sagas")]

        self.ask(held)


def store_model(open_empty: OpenEmpty, *, runs: int = 60, steps: int = 30) -> type[TestCase]:
    """A test case that makes the same random calls on an engine's store and on memory's.

    Args:
        open_empty: Opens the engine, on an empty database, on the clock it is given.
        runs: Sequences of calls that are tried.
        steps: Calls in each, at most.
    """
    return test_case(StoreMachine, open_empty, runs=runs, steps=steps)
