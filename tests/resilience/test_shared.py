import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus.clock import ManualClock
from isthmus.connect import connect
from isthmus.contracts import Put, StoreEngine
from isthmus.errors import ConfigError, ConflictError
from isthmus.resilience.feature import Feature
from isthmus.resilience.rate_limit import RateLimit
from isthmus.resilience.shared import (
    LocalState,
    Reach,
    SharedStateLost,
    SharedStateRegained,
    Unreached,
    Versioned,
    numbers_in,
    numbers_to_bytes,
    update,
)
from isthmus.resilience.strategy import Site
from isthmus.signals import Signal, Signals


def site(clock: ManualClock, signals: Signals) -> Site:
    return Site("pay", clock, lambda _: None, lambda: 0.5, signals, idempotent=True)


def more(value: bytes) -> tuple[bytes, int]:
    count = int(value or b"0") + 1
    return str(count).encode(), count


class Contended(LocalState):
    """Another writes between every reading and writing."""

    async def read(self, name: str) -> Versioned:
        seen = await super().read(name)
        await self.write(name, b"7", if_version=seen.version)
        return seen


class Switched(LocalState):
    error: Exception | None = None

    async def read(self, name: str) -> Versioned:
        if self.error is not None:
            raise self.error
        return await super().read(name)


class Stalled(LocalState):
    async def read(self, name: str) -> Versioned:
        await asyncio.Event().wait()
        raise AssertionError


async def test_a_value_is_written_only_over_the_version_that_was_read():
    state = LocalState()
    assert await state.read("a") == (b"", 0)
    assert await state.write("a", b"x", if_version=0)
    assert not await state.write("a", b"y", if_version=0)
    assert await state.read("a") == (b"x", 1)


async def test_a_value_is_gone_after_its_ttl():
    clock = ManualClock()
    state = LocalState(clock=clock)
    await state.write("a", b"x", if_version=0, ttl=10)
    await clock.advance(9)
    assert (await state.read("a")).value == b"x"
    await clock.advance(1)
    assert await state.read("a") == (b"", 0)


async def test_no_more_names_are_kept_than_may_be():
    state = LocalState(most=2)
    for name in "abc":
        await state.write(name, b"x", if_version=0)
    assert [(await state.read(name)).version for name in "abc"] == [0, 1, 1]
    with pytest.raises(ConfigError):
        LocalState(most=0)


async def test_no_update_of_many_is_lost():
    state = LocalState()
    await asyncio.gather(*(update(state, "n", more, attempts=100) for _ in range(50)))
    assert (await state.read("n")).value == b"50"


async def test_an_update_that_is_always_late_gives_up():
    with pytest.raises(ConflictError, match="changed 3 times"):
        await update(Contended(), "n", more, attempts=3)


async def test_what_is_out_of_reach_is_left_alone_for_a_while_and_told_once():
    clock, signals, state = ManualClock(), Signals(), Switched()
    heard: list[Signal] = []
    signals.listen(Signal, heard.append)
    reach, at = Reach(state, "rate limit p", pause=5), site(clock, signals)
    state.error = OSError("away")
    assert isinstance(await reach.update("n", more, at=at), Unreached)
    state.error = None
    assert isinstance(await reach.update("n", more, at=at), Unreached)
    await clock.advance(5)
    assert await reach.update("n", more, at=at) == 1
    assert [type(one) for one in heard] == [SharedStateLost, SharedStateRegained]


async def test_a_state_that_stalls_holds_nobody_up():
    reach = Reach(Stalled(), "rate limit p", timeout=0.001)
    answer: Any = await reach.update("n", more, at=site(ManualClock(), Signals()))
    assert isinstance(answer.error, TimeoutError)


async def test_a_name_in_demand_is_out_of_reach_alone():
    clock, signals, state = ManualClock(), Signals(), Contended()
    reach, at = Reach(state, "rate limit p"), site(clock, signals)
    assert isinstance(await reach.update("n", more, at=at), Unreached)
    assert await reach.update("other", lambda _: (None, 3), at=at) == 3


@given(st.lists(st.floats(allow_nan=False)))
def test_numbers_come_back_as_they_were(numbers: list[float]):
    assert numbers_in(numbers_to_bytes(tuple(numbers))) == tuple(numbers)
    assert numbers_in(b"torn") == ()


# --- a store of isthmus as shared state -----------------------------------------------------


class InStore:
    """What it takes to make one of a store."""

    def __init__(self, store: StoreEngine) -> None:
        self.store = store

    async def read(self, name: str) -> Versioned:
        found = (await self.store.get("resilience", [name])).get(name)
        return Versioned(found.value, found.version) if found else Versioned(b"", 0)

    async def write(
        self, name: str, value: bytes, *, if_version: int, ttl: float | None = None
    ) -> bool:
        try:
            await self.store.put("resilience", [Put(name, value, if_version, ttl)])
        except ConflictError:
            return False
        return True


@pytest.fixture(params=["memory", "sqlite"])
async def two(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncGenerator[list[InStore]]:
    """The same store, opened as by two processes."""
    if request.param == "memory":
        engine = await connect("memory://")
        engines = [engine, engine]
    else:
        engines = [await connect(f"sqlite:///{tmp_path}/shop.db") for _ in range(2)]
    assert all(engine.store is not None for engine in engines)
    yield [InStore(engine.store) for engine in engines if engine.store is not None]
    for engine in engines:
        await engine.aclose()


async def test_no_update_of_two_processes_is_lost_in_a_store(two: list[InStore]):
    await asyncio.gather(*(update(two[i % 2], "n", more, attempts=100) for i in range(20)))
    assert (await two[0].read("n")).value == b"20"


async def test_two_processes_share_an_allowance_in_a_store(two: list[InStore]):
    clock = ManualClock()
    limits = [RateLimit(4, 60, shared=state, name="pay", clock=clock) for state in two]
    asked = [await limits[i % 2].allow_shared("ann") for i in range(6)]
    assert [wait == 0 for wait in asked] == [True] * 4 + [False] * 2


async def test_two_processes_hear_of_a_feature_in_a_store(two: list[InStore]):
    ours, theirs = (Feature("offers", shared=state) for state in two)
    await ours.off_everywhere("why")
    await theirs.refresh()
    assert theirs.reason == "why"


def test_state_that_is_out_of_reach_is_left_alone_for_five_seconds():
    reach = Reach(LocalState(), "x")
    assert (reach.timeout, reach.pause) == (0.25, 5)


async def test_that_others_were_always_first_is_told_and_tried_again():
    class Busy(LocalState):
        tries = 0

        async def write(self, *_: Any, **__: Any) -> bool:
            self.tries += 1
            return False

    state, hub, heard = Busy(), Signals(), list[Signal]()
    hub.listen(Signal, heard.append)
    reach, at = Reach(state, "limit x"), site(ManualClock(), hub)
    for times in (1, 2):
        found = await reach.update("x", lambda _: (b"1", 1), at=at)
        assert isinstance(found, Unreached)
        assert isinstance(found.error, ConflictError)
        assert state.tries == 10 * times
    assert [type(one) for one in heard] == [SharedStateLost] * 2


async def test_of_the_names_those_written_last_are_kept():
    state = LocalState(most=2)
    for name, version in (("a", 0), ("b", 0), ("a", 1), ("c", 0)):
        assert await state.write(name, b"x", if_version=version)
    assert [(await state.read(name)).version for name in "abc"] == [2, 0, 1]
