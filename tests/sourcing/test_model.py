"""Whatever commands come, in whatever order: aggregates are what a plain model says."""

import asyncio
from collections import defaultdict
from contextlib import suppress
from contextvars import Context
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.sourcing.bank import (
    Account,
    Deposit,
    Deposited,
    OverdrawnError,
    Touch,
    Withdraw,
    Withdrawn,
)
from tests.stores import Stores

from isthmus import App
from isthmus.errors import ConflictError
from isthmus.handling.running.trial import Trial
from isthmus.settings import Settings
from isthmus.sourcing import Documents, IdReusedError, Projection, Recorded

pytestmark = pytest.mark.timeout(240)

Event = Deposited | Withdrawn
Command = Deposit | Withdraw | Touch

amounts = st.integers(1, 20)
commands = st.one_of(amounts.map(Deposit), amounts.map(Withdraw), st.just(Touch()))
keys = st.sampled_from(["a", "b", "c"])


class Handle(NamedTuple):
    """One command, handled by process 0 or 1."""

    by: int
    key: str
    command: Command
    id: str | None


class Together(NamedTuple):
    """Several commands in one transaction, which is kept, undone, or overtaken by another."""

    by: int
    handles: list[Handle]
    end: str


class Restart(NamedTuple):
    by: int


handles = st.builds(
    Handle, st.integers(0, 1), keys, commands, st.none() | st.sampled_from(["1", "2", "3"])
)
together = st.builds(
    Together,
    st.integers(0, 1),
    st.lists(handles, min_size=1, max_size=4),
    st.sampled_from(["keep", "undo", "overtaken"]),
)
steps = st.lists(
    st.one_of(handles, handles, together, st.builds(Restart, st.integers(0, 1))), max_size=30
)


class Model:
    """What there is to be: plain lists, one thing after the other."""

    def __init__(self) -> None:
        self.events = defaultdict[str, list[Event]](list)
        self.ids = dict[tuple[str, str], tuple[Command, int, list[Event]]]()

    def copy(self) -> "Model":
        made = Model()
        made.events = defaultdict(list, {key: list(of) for key, of in self.events.items()})
        made.ids = dict(self.ids)
        return made

    def balance(self, key: str, version: int | None = None) -> int:
        events = self.events[key][:version]
        return sum(e.amount if isinstance(e, Deposited) else -e.amount for e in events)

    def handle(self, step: Handle) -> tuple[int, list[Event], bool] | str:
        """Return the version, the events, and whether it came again; or how it is refused."""
        key, command, id_ = step.key, step.command, step.id
        if id_ is not None and (known := self.ids.get((key, id_))):
            first, version, events = known
            return (version, events, True) if first == command else "reused"
        events = list[Event]()
        if isinstance(command, Deposit):
            events.append(Deposited(command.amount))
        elif isinstance(command, Withdraw):
            if command.amount > self.balance(key):
                return "overdrawn"
            events.append(Withdrawn(command.amount))
        self.events[key] += events
        version = len(self.events[key])
        if id_ is not None:
            self.ids[key, id_] = (command, version, events)
        return version, events, False


class Process:
    def __init__(self, url: str) -> None:
        self.app = App("bank", settings=Settings(engine=url))
        self.accounts = self.app.aggregate("account", Account, snapshot_every=3, cache=2)

    async def handle(self, step: Handle) -> tuple[int, list[Event], bool] | str:
        try:
            done = await self.accounts.handle(step.key, step.command, id=step.id)
        except OverdrawnError:
            return "overdrawn"
        except IdReusedError:
            return "reused"
        return done.version, list(done.events), done.repeated


class Undo(Exception):  # noqa: N818
    """The transaction is not to be kept."""


class World:
    """Two processes on one store, and the model beside them."""

    def __init__(self, url: str) -> None:
        self.url, self.model = url, Model()
        self.processes = [Process(url), Process(url)]

    async def run(self, script: list[Any]) -> None:
        keeper = App("bank", settings=Settings(engine=self.url))  # memory lives while it is open
        async with keeper:
            for process in self.processes:
                await process.app.open()
            for step in script:
                await self.step(step)
            await self.compare()
            for process in self.processes:
                await process.app.aclose()

    async def step(self, step: Any) -> None:
        if isinstance(step, Handle):
            assert await self.processes[step.by].handle(step) == self.model.handle(step)
        elif isinstance(step, Together):
            await self.together(step)
        else:
            await self.processes[step.by].app.aclose()
            self.processes[step.by] = Process(self.url)
            await self.processes[step.by].app.open()

    async def together(self, step: Together) -> None:
        process, model = self.processes[step.by], self.model.copy()
        other = self.processes[1 - step.by]
        appended, conflict = False, False
        try:
            async with process.app.transaction():
                for each in step.handles:
                    outcome = model.handle(each)
                    assert await process.handle(each) == outcome
                    appended |= not isinstance(outcome, str) and not outcome[2]
                    loaded = await process.accounts.load(each.key)
                    assert loaded == Account(model.balance(each.key))
                if step.end == "undo":
                    raise Undo
                if step.end == "overtaken":
                    first = Handle(1 - step.by, step.handles[0].key, Deposit(1), None)
                    await asyncio.create_task(other.handle(first), context=Context())
                    self.model.handle(first)
        except Undo:
            return
        except ConflictError:
            conflict = True
        if step.end == "overtaken":
            assert conflict == appended, "whoever writes what another overtook is told so"
        elif not conflict:
            self.model = model
        assert not conflict or step.end == "overtaken"

    async def compare(self) -> None:
        for process in self.processes:
            for key in "abc":
                events = [each async for each in process.accounts.history(key)]
                assert [each.value for each in events] == self.model.events[key]
                assert [each.version for each in events] == list(range(1, len(events) + 1))
                assert await process.accounts.load(key) == Account(self.model.balance(key))
                for version in range(len(events) + 1):
                    state = await process.accounts.load(key, version=version)
                    assert state == Account(self.model.balance(key, version))
            feed = [(e.key, e.value) async for e in process.accounts.read()]
            for key in "abc":
                assert [value for k, value in feed if k == key] == self.model.events[key]


MANY = {"memory": 80, "sqlite": 15, "postgresql": 25}


def test_aggregates_are_what_the_model_says(stores: Stores) -> None:
    @given(script=steps)
    @settings(max_examples=MANY[stores.kind], suppress_health_check=[HealthCheck.too_slow])
    def whatever_comes(script: list[Any]) -> None:
        asyncio.run(World(stores.another()).run(script))

    whatever_comes()


@given(script=st.lists(handles | st.sampled_from(["settle", "rebuild", "wait"]), max_size=25))
@settings(max_examples=25)
def test_projections_come_to_what_the_model_says(script: list[Any]) -> None:
    """Whenever it is built anew, and whatever comes meanwhile."""
    asyncio.run(projected(script))


async def until_shown(project: Projection, t: Trial) -> None:
    """Let time pass, too: while one generation overtakes the other, neither is read for."""
    for _ in range(20):
        await t.settle()
        if not await project.behind():
            return
        await t.advance(1)
    raise AssertionError("it never caught up")


async def projected(script: list[Any]) -> None:
    app, model = App("bank"), Model()
    accounts = app.aggregate("account", Account, partitions=2)
    balances = Documents("balances", Account)

    @app.projection("balances", accounts, into=[balances])
    async def project(event: Recorded[Deposited | Withdrawn]) -> None:
        more = event.value.amount if isinstance(event.value, Deposited) else -event.value.amount
        await balances.change(event.key, lambda was: Account((was.balance if was else 0) + more))

    async with app.test() as t:
        for step in script:
            if isinstance(step, Handle):
                with suppress(OverdrawnError, IdReusedError):
                    await accounts.handle(step.key, step.command, id=step.id)
                model.handle(step)
            elif step == "rebuild":
                await project.rebuild()
            else:
                await (t.settle() if step == "settle" else t.advance(2))
            await until_shown(project, t)
            shown = {key: found.balance for key, found in await balances.scan()}
            assert shown == {key: model.balance(key) for key in model.events if model.events[key]}
        await t.advance(10)
        await until_shown(project, t)
        shown = {key: found.balance for key, found in await balances.scan()}
        assert shown == {key: model.balance(key) for key in model.events if model.events[key]}
        assert (await project.standing()).building is None
