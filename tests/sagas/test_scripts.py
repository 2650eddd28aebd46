"""Random sagas, with failures at every point: each ends completed, or with all of it undone.

Two processes on one memory database and virtual time, on an engine that fails by script; now and
then one is killed. Steps fail before or after their effect, are refused, or never answer.
"""

import asyncio
import itertools
import random
from collections import Counter, defaultdict
from contextlib import suppress
from functools import partial
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from isthmus import App, Retry, Transaction
from isthmus.clock import Clock, ManualClock
from isthmus.connect import connect
from isthmus.contracts import Engine, Put
from isthmus.errors import IsthmusError
from isthmus.handling.host import Host
from isthmus.handling.idempotency_key import IdempotencyKey
from isthmus.handling.running.opening import opened
from isthmus.sagas import Compensate, Saga, SagaStatus, Unknown
from isthmus.sagas.events import Undone
from isthmus.settings import Settings
from isthmus.testing import Chaos, Chaotic, Fault

SPACE = "effects"
_databases = itertools.count(1)


class Do(msgspec.Struct, frozen=True, tag="do"):
    name: str
    local: bool
    undo: bool
    faults: tuple[str, ...] = ()
    undo_faults: tuple[str, ...] = ()


class Nap(msgspec.Struct, frozen=True, tag="nap"):
    span: int


class Both(msgspec.Struct, frozen=True, tag="both"):
    branches: tuple[tuple["Op", ...], ...]


class Guarded(msgspec.Struct, frozen=True, tag="guarded"):
    body: tuple["Op", ...]


class Other(msgspec.Struct, frozen=True, tag="other"):
    body: tuple["Op", ...]


class Fail(msgspec.Struct, frozen=True, tag="fail"):
    pass


class Await(msgspec.Struct, frozen=True, tag="await"):
    comes: bool


Op = Do | Nap | Both | Guarded | Other | Fail | Await


class Came(msgspec.Struct):
    pass


class World:
    """What is out there: it knows calls by their keys, and does each once."""

    def __init__(self) -> None:
        self.keys = defaultdict[str, set[str]](set)
        self.applied, self.undone = set[str](), set[str]()
        self.attempts = Counter[str]()
        self.given = defaultdict[str, list[object]](list)

    def fault(self, name: str, faults: tuple[str, ...]) -> str:
        self.attempts[name] += 1
        return faults[self.attempts[name] - 1] if self.attempts[name] <= len(faults) else ""


def declare(app: App, world: World, clock: ManualClock) -> Any:
    async def suffer(when: str, name: str, faults: tuple[str, ...]) -> None:
        fault = world.fault(name, faults) if when == "before" else ""
        if fault == "refused":
            raise Compensate("refused")
        if fault == "before":
            raise ConnectionRefusedError
        if fault == "hang":
            await clock.sleep(1e6)
        if fault == "after":
            world.attempts[f"{name} after"] += 1

    def falter(name: str) -> None:
        if world.attempts[f"{name} after"]:
            world.attempts[f"{name} after"] = 0
            raise ConnectionResetError

    async def remote(do: Do, key: IdempotencyKey) -> str:
        world.keys[do.name].add(key)
        await suffer("before", do.name, do.faults)
        world.applied.add(key)
        falter(do.name)
        return key

    async def unremote(done: str | Unknown, do: Do) -> None:
        await suffer("before", f"un{do.name}", do.undo_faults)
        world.given[do.name].append(done)
        world.undone.add(done.key if isinstance(done, Unknown) else done)
        falter(f"un{do.name}")

    async def count(host: Host, name: str, tx: Transaction) -> None:
        found = (await host.store.get(SPACE, [name], tx=tx)).get(name)
        before = 0 if found is None else int(found.value)
        await host.store.put(SPACE, [Put(name, str(before + 1).encode())], tx=tx)

    async def local(do: Do, host: Host, tx: Transaction) -> str:
        await count(host, do.name, tx)
        await suffer("before", do.name, do.faults)
        falter(do.name)
        return do.name

    async def unlocal(done: str, do: Do, host: Host, tx: Transaction) -> None:
        assert done == do.name
        await count(host, f"un{do.name}", tx)
        await suffer("before", f"un{do.name}", do.undo_faults)
        falter(f"un{do.name}")

    async def play(saga: Saga, body: tuple[Op, ...]) -> None:
        for op in body:
            match op:
                case Do():
                    await step(saga, op)
                case Nap(span):
                    await saga.sleep(span)
                case Both(branches):
                    await saga.gather(*(play(saga, branch) for branch in branches))
                case Guarded(inner):
                    with suppress(Compensate):
                        await play(saga, inner)
                case Other(inner):
                    await saga.run(script, Script(inner))
                case Await():
                    await saga.wait_for(Came, timeout=3)
                case Fail():
                    raise Compensate("it failed")

    async def step(saga: Saga, do: Do) -> None:
        def un(back: Any) -> Any:
            async def undo(done: Any, host: Host, tx: Transaction) -> None:
                await back(done, do, host, tx)

            async def undo_remote(done: Any) -> None:
                await back(done, do)

            return undo if do.local else undo_remote

        undo = un(unlocal if do.local else unremote) if do.undo else None
        await saga.step(local if do.local else remote, do, undo=undo, name=do.name, timeout=5)

    class Script(msgspec.Struct):
        body: tuple[Op, ...]

    @app.saga(
        "script",
        retry=Retry(4, delay=0.5, factor=1, jitter="none"),
        undo_retry=Retry(10_000, delay=0.5, factor=1),
        lease=3,
        step_timeout=5,
    )
    async def script(saga: Saga, given: Script) -> None:
        await play(saga, given.body)

    return script, Script


class Process:
    """One that runs the App, until it is killed."""

    def __init__(self, app: App, clock: ManualClock) -> None:
        self.app, self._clock = app, clock

    async def start(self) -> None:
        self._running = asyncio.create_task(self.app.run())
        await self._clock.settle(100)

    async def kill(self) -> None:
        """End it as SIGKILL would: nothing of it reaches the database any more."""
        host = self.app.declarations.host
        await host.engine.aclose()
        self._running.cancel()
        with suppress(asyncio.CancelledError, IsthmusError, ExceptionGroup):
            while not self._running.done():
                await self._clock.advance(0.1)
            await self._running

    async def drain(self) -> None:
        await self.app.drain()
        while not self._running.done():
            await self._clock.advance(0.5)
        await self._running


faults = st.sampled_from([
    (), (), (), (), (), (), (), (), (), ("after",), ("before", "after"), ("hang",), ("after",) * 4,
    ("before",) * 4,
    ("hang", "refused"), ("refused",), ("after", "before", "hang"),
])  # fmt: skip
undo_faults = st.sampled_from([(), (), ("after",), ("before", "after"), ("hang", "after")])
dos = st.builds(
    Do, st.just(""), st.booleans(), st.sampled_from([True, True, False]), faults, undo_faults
)
leaves = st.one_of(
    dos, dos, dos, dos, st.builds(Nap, st.integers(0, 4)), st.builds(Await, st.booleans())
)
"""Hypothesis likes what is small best; a saga of one step shows little."""


def bodies(ops: st.SearchStrategy[Op], least: int, most: int) -> st.SearchStrategy[tuple[Op, ...]]:
    return st.lists(ops, min_size=least, max_size=most).map(tuple)


inner = st.one_of(leaves, leaves, leaves, st.just(Fail()))
nested = st.one_of(
    st.builds(Both, st.lists(bodies(inner, 1, 2), min_size=2, max_size=3).map(tuple)),
    st.builds(Guarded, bodies(inner, 1, 3)),
    st.builds(
        Other, bodies(st.one_of(leaves, leaves, st.builds(Both, st.just(((Nap(1),),)))), 1, 3)
    ),
)
ends = st.sampled_from([(), (Fail(),)])
scripts = st.builds(
    lambda body, end: (*body, *end), bodies(st.one_of(leaves, leaves, nested), 4, 7), ends
)


def named(body: tuple[Op, ...], count: "itertools.count[int]") -> tuple[Op, ...]:
    """Give each step a name of its own."""

    def renamed(op: Op) -> Op:
        match op:
            case Do():
                return msgspec.structs.replace(op, name=f"s{next(count)}")
            case Both(branches):
                return Both(tuple(named(each, count) for each in branches))
            case Guarded(inner):
                return Guarded(named(inner, count))
            case Other(inner):
                return Other(named(inner, count))
            case _:
                return op

    return tuple(map(renamed, body))


def steps_of(body: tuple[Op, ...]) -> dict[str, Do]:
    found = dict[str, Do]()
    for op in body:
        match op:
            case Do():
                found[op.name] = op
            case Both(branches):
                for each in branches:
                    found |= steps_of(each)
            case Guarded(inner) | Other(inner):
                found |= steps_of(inner)
            case _:
                pass
    return found


class Play:
    """One random script, and what became of it."""

    def __init__(self, body: tuple[Op, ...], weather: list[Fault], kills: list[float]) -> None:
        self.body = named(body, itertools.count())
        self.weather, self.kills = weather, kills
        self.world = World()
        self.clock = ManualClock()
        self.url = f"memory://scripts-{next(_databases)}"

    def app(self) -> tuple[App, Any, Any]:
        settings = Settings(port=0, drain=5)
        app = App("scripts", engine=self.url, settings=settings, clock=self.clock)
        return app, *declare(app, self.world, self.clock)

    async def process(self, *, calm: bool = False) -> Process:
        app, _, _ = self.app()
        process = Process(app, self.clock)
        with pytest.MonkeyPatch.context() as patch:
            chaotic = partial(opened, connect=connect if calm else self._connect)
            patch.setattr("isthmus.handling.running.opening.opened", chaotic)
            await process.start()
        return process

    async def _connect(self, url: str, *, clock: Clock) -> Engine:
        """Fails by script, once it is open."""
        calm = [Fault.NONE] * 30
        return Chaotic(await connect(url, clock=clock), Chaos([*calm, *self.weather], clock=clock))

    async def run(self) -> None:
        keeper, script, kind = self.app()
        async with keeper:
            processes = [await self.process(), await self.process()]
            handle = await script.start(kind(self.body), id="one")
            for pause in self.kills:
                await self.clock.advance(pause)
                await processes.pop(0).kill()
                processes.append(await self.process())
                await handle.signal(Came())
            for _ in range(100):
                await self.clock.advance(10)
                status = await handle.status()
                if status.status not in {"running", "compensating"}:
                    break
            for process in processes:
                await process.drain()
            self.host = keeper.declarations.host
            await self.judge(status, handle)

    async def judge(self, status: SagaStatus, handle: Any) -> None:
        assert status.status in {"completed", "compensated"}, status
        effects = {key: int(e.value) for key, e in await self.host.store.scan(SPACE)}
        assert set(effects.values()) <= {1}, effects
        for name, do in steps_of(self.body).items():
            assert len(self.world.keys[name]) <= 1, name
            if not do.undo:
                continue
            if do.local and status.status == "compensated":
                assert effects.get(name) == effects.get(f"un{name}"), name
            elif status.status == "compensated":
                applied = self.world.keys[name] & self.world.applied
                assert applied <= self.world.undone, name
        if status.status == "compensated":
            self.in_reverse(await handle.history())

    def in_reverse(self, history: list[Any]) -> None:
        """Steps of the one line are undone in reverse."""
        undone = [e.position for e in history if isinstance(e, Undone) and "." not in e.position]
        assert undone == sorted(undone, key=int, reverse=True)


def weather(seed: int, rate: float) -> list[Fault]:
    chance = random.Random(seed)
    bad = [Fault.BEFORE, Fault.AFTER, Fault.DELAY, Fault.LOST]
    return [chance.choice(bad) if chance.random() < rate else Fault.NONE for _ in range(600)]


weathers = st.builds(weather, st.integers(0, 1 << 30), st.sampled_from([0.0, 0.02, 0.1]))


@settings(
    max_examples=60,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # to shrink takes minutes
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(scripts, weathers, st.lists(st.sampled_from([0.0, 0.5, 1.0, 3.0, 6.0]), max_size=4))
@pytest.mark.timeout(600)
def test_every_saga_ends_completed_or_fully_compensated(
    body: tuple[Op, ...], weather: list[Fault], kills: list[float]
) -> None:
    asyncio.run(Play(body, weather, kills).run())
