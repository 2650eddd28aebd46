import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from hypothesis import example, given, settings
from hypothesis import strategies as st

from isthmus.clock import Clock, ManualClock
from isthmus.connect import connect
from isthmus.contracts import Entry, Put, StoreEngine
from isthmus.handling.host import Host
from isthmus.handling.running.leases import Lease

SPAN = 10.0


def lease(host: Host, holder: str) -> Lease:
    return Lease(host.store, "night", holder=holder, span=SPAN, clock=host.clock)


async def test_one_holds_it_until_it_ends(host: Host, clock: ManualClock) -> None:
    ann, bob = lease(host, "ann"), lease(host, "bob")
    assert await ann.take()
    assert not await bob.take()
    await clock.advance(SPAN)
    assert not ann.held
    assert not await bob.take(), "clocks may differ: others wait a little longer"
    await clock.advance(SPAN / 4)
    assert await bob.take()


async def test_taking_it_again_renews_it(host: Host, clock: ManualClock) -> None:
    ann, bob = lease(host, "ann"), lease(host, "bob")
    await ann.take()
    await clock.advance(SPAN - 1)
    assert await ann.take()
    await clock.advance(SPAN - 1)
    assert ann.held
    assert not await bob.take()


async def test_released_it_is_free_at_once(host: Host) -> None:
    ann, bob = lease(host, "ann"), lease(host, "bob")
    await ann.take()
    await ann.release()
    assert not ann.held
    assert await bob.take()


async def test_only_the_holder_releases_it(host: Host) -> None:
    ann, bob = lease(host, "ann"), lease(host, "bob")
    await ann.take()
    await bob.release()
    assert not await bob.take()


@dataclass
class Slow:
    """A store whose calls wait until somebody lets one through."""

    store: StoreEngine
    waiting: list[asyncio.Future[None]] = field(default_factory=list[asyncio.Future[None]])

    async def get(self, space: str, keys: Sequence[str]) -> Mapping[str, Entry]:
        await self._turn()
        return await self.store.get(space, keys)

    async def put(self, space: str, puts: Sequence[Put]) -> None:
        await self._turn()
        await self.store.put(space, puts)

    async def _turn(self) -> None:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.waiting.append(turn)
        await turn


@dataclass
class Off:
    """A clock that differs from the others' by less than a lease bears."""

    clock: ManualClock
    by: float

    def now(self) -> float:
        return self.clock.now() + self.by


LET = ("let through", 0)
BEHIND, AHEAD = -SPAN * 0.12, SPAN * 0.12
OFF = st.sampled_from([BEHIND, 0.0, AHEAD])
STEP = st.one_of(
    st.tuples(st.sampled_from(["take", "take", "release"]), st.integers(0, 2)),
    st.tuples(st.just("let through"), st.integers(0, 5)),
    st.tuples(st.just("let through"), st.integers(0, 5)),
    st.tuples(st.just("pass"), st.sampled_from([0.5, 3.0, SPAN * 0.9, SPAN])),
)


@example([0.0, 0.0, 0.0], [("take", 0), ("take", 1), LET, LET, LET, LET])
@example([BEHIND, AHEAD, 0.0], [("take", 0), LET, LET, ("pass", 9.0), ("take", 1), LET, LET])
@example([0.0, 0.0, 0.0], [("take", 0), LET, ("pass", 13.0), LET, ("take", 1), LET, LET])
@settings(max_examples=150)
@given(st.lists(OFF, min_size=3, max_size=3), st.lists(STEP, min_size=5, max_size=40))
def test_two_never_hold_it_at_once(offsets: list[float], steps: list[tuple[str, float]]) -> None:
    assert asyncio.run(holders_at_once(offsets, steps)) <= 1


async def holders_at_once(offsets: list[float], steps: list[tuple[str, Any]]) -> int:
    clock, most = ManualClock(), 0
    engine = await connect("memory://", clock=clock)
    assert engine.store is not None
    slow = Slow(engine.store)
    leases = [
        Lease(
            cast("StoreEngine", slow),
            "night",
            holder=str(index),
            span=SPAN,
            clock=cast("Clock", Off(clock, by)),
        )
        for index, by in enumerate(offsets)
    ]
    tasks: dict[int, asyncio.Task[Any]] = {}
    for what, which in steps:
        if what == "pass":
            await clock.advance(which)
        elif what == "let through":
            if slow.waiting:
                slow.waiting.pop(which % len(slow.waiting)).set_result(None)
        elif which not in tasks or tasks[which].done():
            tasks[which] = asyncio.create_task(getattr(leases[which], what)())
        await clock.settle(3)
        most = max(most, sum(each.held for each in leases))
    for task in tasks.values():
        task.cancel()
    await asyncio.gather(*tasks.values(), return_exceptions=True)
    await engine.aclose()
    return most


def test_the_trial_above_does_hold_leases() -> None:
    steps = [("take", 0), ("let through", 0), ("let through", 0)]
    assert asyncio.run(holders_at_once([0.0, 0.0, 0.0], steps)) == 1
