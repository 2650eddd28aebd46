import asyncio

import pytest

from isthmus.clock import ManualClock
from isthmus.contracts import Put
from isthmus.errors import UnavailableError
from isthmus.handling.host import Host
from isthmus.handling.running.ephemeral import Ephemeral
from isthmus.handling.running.housekeeping import Housekeeping
from isthmus.message import Message


async def kept(host: Host, clock: ManualClock, *, seconds: float) -> None:
    """Let housekeeping run for a while."""
    worker = Housekeeping()
    running = asyncio.create_task(worker.run(host))
    await clock.advance(seconds)
    await worker.drain()
    await running


async def test_what_is_too_old_is_dropped(memory: Host, clock: ManualClock) -> None:
    await memory.queue.declare("orders", "orders", retention=60)
    await memory.queue.send("orders", [Message()])
    await kept(memory, clock, seconds=59)
    assert (await memory.queue.stats("orders", "orders")).ready == 1
    await kept(memory, clock, seconds=10)
    assert (await memory.queue.stats("orders", "orders")).ready == 0


async def test_one_process_keeps_house_at_a_time(memory: Host, clock: ManualClock) -> None:
    rounds: list[str] = []
    workers = [Housekeeping(), Housekeeping()]
    for name, worker in zip("ab", workers, strict=True):
        worker._round = lambda *_, name=name: note(rounds, name)  # type: ignore[method-assign]
    running = [asyncio.create_task(worker.run(memory)) for worker in workers]
    await clock.advance(20)
    assert rounds == ["a"] * 4
    await workers[0].drain()
    await clock.advance(10)
    assert rounds == ["a"] * 4 + ["b"] * 2
    await workers[1].drain()
    await asyncio.gather(*running)


async def note(rounds: list[str], name: str) -> None:
    rounds.append(name)


async def test_housekeeping_waits_for_an_engine_that_is_out_of_reach(
    memory: Host, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[float] = []

    async def maintain() -> int:
        asked.append(clock.now())
        if len(asked) == 1:
            raise UnavailableError("gone")
        return 0

    monkeypatch.setattr(memory.queue, "maintain", maintain)
    await kept(memory, clock, seconds=11)
    assert len(asked) == 2


async def test_one_round_is_bounded(
    memory: Host, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    async def maintain() -> int:
        asked.append(1)
        return 1

    monkeypatch.setattr(memory.store, "maintain", maintain)
    await kept(memory, clock, seconds=6)
    assert len(asked) == 100


async def test_a_subscription_is_swept_when_its_owner_is_gone(
    host: Host, clock: ManualClock
) -> None:
    ephemeral = Ephemeral(host)
    for name in ("gone", "alive"):
        await ephemeral.register("ticks", name, ttl=60)
        await host.queue.declare("ticks", name)
    await clock.advance(50)
    await ephemeral.renew("ticks", "alive", ttl=60)
    assert await ephemeral.sweep() == 0
    await clock.advance(11)
    assert await ephemeral.sweep() == 1
    assert await host.queue.subscriptions() == [("ticks", "alive")]
    assert await ephemeral.sweep() == 0


async def test_what_was_forgotten_is_not_swept(host: Host, clock: ManualClock) -> None:
    ephemeral = Ephemeral(host)
    await ephemeral.register("ticks", "mine", ttl=60)
    await ephemeral.forget("ticks", "mine")
    await host.queue.declare("ticks", "mine")
    await clock.advance(61)
    assert await ephemeral.sweep() == 0
    assert await host.queue.subscriptions() == [("ticks", "mine")]


async def test_expired_entries_leave_the_store(memory: Host, clock: ManualClock) -> None:
    await memory.store.put("inbox", [Put("a", b"", ttl=5)])
    await kept(memory, clock, seconds=11)
    assert await memory.store.maintain() == 0
