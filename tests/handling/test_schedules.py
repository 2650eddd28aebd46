"""What a schedule promises: each due moment once, across processes, crashes and deploys."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from isthmus import App, ConfigError, NotFoundError, Retry, Tick, Transaction
from isthmus.clock import ManualClock
from isthmus.errors import UnavailableError
from isthmus.handling.facts import MessageBuried, ScheduleDue
from isthmus.handling.host import Host
from isthmus.handling.running.runtime import Runtime
from isthmus.handling.schedules import DeclaredSchedule, trigger
from isthmus.handling.schedules.schedule import CatchUp, Schedule
from isthmus.handling.schedules.timetable import Standing, Timetable
from isthmus.handling.schedules.timing import Cron, Every

NOW = 1_700_000_000.0


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"memory://{tmp_path.name}"


class Process:
    """An App with one schedule, as each of several processes would have it."""

    def __init__(self, url: str, clock: ManualClock, **timing: Any) -> None:
        self.app, self.clock = App("shop", engine=url, clock=clock), clock
        self.runs: list[float] = []
        self.app.schedule("beat", **timing)(self._handle)

    async def _handle(self, tick: Tick) -> None:
        self.runs.append(tick.due_at)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Host]:
        async with self.app:
            host = self.app.declarations.host
            runtime = Runtime(self.app.declarations, host)
            running = asyncio.create_task(runtime.run())
            await self.clock.settle()
            try:
                yield host
            finally:
                await runtime.drain()
                while not running.done():
                    await self.clock.advance(0.1)
                await running


# --- running ----------------------------------------------------------------------------------


async def test_a_schedule_runs_at_every_due_moment(url: str, clock: ManualClock) -> None:
    process = Process(url, clock, every=10)
    async with process.running():
        await clock.advance(35)
    assert process.runs == [NOW + 10, NOW + 20, NOW + 30]


async def test_a_cron_schedule_runs_in_its_time_zone(url: str, clock: ManualClock) -> None:
    process = Process(url, clock, cron="30 23 * * *", timezone="Europe/Berlin")
    async with process.running():
        await clock.advance(1100)
    assert [datetime.fromtimestamp(run, UTC).strftime("%H:%M") for run in process.runs] == ["22:30"]


async def test_each_moment_runs_once_across_processes(url: str, clock: ManualClock) -> None:
    processes = [Process(url, clock, every=10) for _ in range(3)]
    async with processes[0].running(), processes[1].running(), processes[2].running():
        await clock.advance(105)
    runs = sorted(run for process in processes for run in process.runs)
    assert runs == [NOW + 10 * (count + 1) for count in range(10)]


async def test_a_crash_between_moving_and_sending_loses_and_doubles_nothing(
    url: str, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = Process(url, clock, every=10)
    async with process.running() as host:
        send, fail = host.queue.send, [True, True]

        async def crash(topic: str, *rest: Any, **named: Any) -> None:
            await send(topic, *rest, **named)
            if topic == "isthmus.schedule.beat" and fail:
                fail.pop()
                raise UnavailableError("cut off")

        monkeypatch.setattr(host.queue, "send", crash)
        await clock.advance(25)
    assert process.runs == [NOW + 10, NOW + 20]
    assert not fail


async def test_a_run_that_fails_is_retried_and_buried_like_any_message(
    url: str, clock: ManualClock
) -> None:
    app, attempts, buried = App("shop", engine=url, clock=clock), list[float](), list[str]()
    app.signals.listen(MessageBuried, lambda signal: buried.append(signal.message))

    @app.schedule("beat", every=1000, retry=Retry(3, delay=1, jitter="none"))
    async def fail(tick: Tick) -> None:
        attempts.append(clock.now() - tick.due_at)
        raise ValueError

    async with app:
        runtime = Runtime(app.declarations, app.declarations.host)
        running = asyncio.create_task(runtime.run())
        await clock.advance(1100)
        await runtime.drain()
        while not running.done():
            await clock.advance(0.1)
        await running
    assert attempts == [0, 1, 3]
    assert buried == [f"beat@{NOW + 1000}"]


async def test_a_run_that_takes_longer_than_the_interval_delays_the_next(
    url: str, clock: ManualClock
) -> None:
    app, running_now, most = App("shop", engine=url, clock=clock), 0, 0

    @app.schedule("beat", every=10, concurrency=16)
    async def slow() -> None:
        nonlocal running_now, most
        running_now += 1
        most = max(most, running_now)
        await clock.sleep(25)
        running_now -= 1

    async with app:
        runtime = Runtime(app.declarations, app.declarations.host)
        running = asyncio.create_task(runtime.run())
        await clock.advance(100)
        await runtime.drain()
        await clock.advance(40)
        await running
    assert most == 1


async def test_a_handler_may_take_nothing_or_a_transaction() -> None:
    app, runs = App("shop"), list[str]()

    @app.schedule("plain", every=10)
    def plain() -> None:
        runs.append("plain")

    @app.schedule("tx", every=10)
    async def with_tx(tx: Transaction) -> None:
        runs.append(tx.scope[:6])

    async with app.test() as t:
        await t.advance(10)
        while len(runs) < 2:
            await t.settle()
    assert sorted(runs) == ["memory", "plain"]


async def test_what_is_due_is_told() -> None:
    app, told = App("shop"), list[ScheduleDue]()
    app.signals.listen(ScheduleDue, told.append)

    @app.schedule("beat", every=10)
    async def beat() -> None: ...

    async with app.test() as t:
        await t.advance(10)
    assert told == [ScheduleDue(name="beat", due_at=NOW + 10)]


# --- what was missed --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("catch_up", "expected"),
    [("latest", [10, 100, 110]), ("all", [10, 20, 30, 40, 50, 60, 70, 80, 90, 100, 110])],
)
async def test_what_was_missed_while_nothing_ran_is_caught_up(
    url: str, clock: ManualClock, catch_up: CatchUp, expected: list[int]
) -> None:
    keeping = App("shop", engine=url, clock=clock)  # keeps memory:// alive in between
    first = Process(url, clock, every=10, catch_up=catch_up)
    second = Process(url, clock, every=10, catch_up=catch_up)
    async with keeping:
        async with first.running():
            await clock.advance(12)
        await clock.advance(NOW + 105 - clock.now())
        async with second.running():
            await clock.advance(8)
    assert [run - NOW for run in first.runs + second.runs] == expected


def due(catch_up: CatchUp, timing: Every | Cron, *, due_at: float, now: float) -> list[float]:
    schedule = Schedule("beat", timing, catch_up=catch_up)
    standing = Standing(name="beat", definition=timing.definition, due_at=due_at)
    moved, ticks = schedule.moved(standing, now)
    assert moved.due_at > now
    assert moved.last_at == (ticks[-1].due_at if ticks else 0.0)
    return [tick.due_at for tick in ticks]


def test_none_passes_over_what_was_missed_by_an_interval() -> None:
    every = Every(10)
    assert due("none", every, due_at=NOW, now=NOW + 9) == [NOW]
    assert due("none", every, due_at=NOW, now=NOW + 57) == [NOW + 50]


def test_none_passes_over_what_cron_missed_by_a_minute() -> None:
    cron = Cron("0 3 * * *")
    three = cron.first(NOW)
    assert due("none", cron, due_at=three, now=three + 59) == [three]
    assert due("none", cron, due_at=three, now=three + 60) == []


def test_latest_is_one_run_for_all_that_cron_missed() -> None:
    cron = Cron("0 3 * * *")
    three = cron.first(NOW)
    assert due("latest", cron, due_at=three, now=three + 86400 * 3 + 5) == [three + 86400 * 3]


def test_all_is_bounded_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    runs = due("all", Every(0.1), due_at=NOW, now=NOW + 86400)
    assert len(runs) == 1000
    assert runs == sorted(runs)
    assert runs[-1] == pytest.approx(NOW + 86400, abs=0.1)
    assert "missed more than 1000 runs" in caplog.text


# --- clocks and deploys -----------------------------------------------------------------------


async def test_a_changed_definition_takes_effect_with_the_deploy(
    url: str, clock: ManualClock
) -> None:
    keeping = App("shop", engine=url, clock=clock)
    old, new = Process(url, clock, every=3600), Process(url, clock, every=10)
    async with keeping:
        async with old.running():
            await clock.advance(5)
        async with new.running():
            await clock.advance(11)
    assert (old.runs, len(new.runs)) == ([], 1)


def test_a_clock_that_went_back_does_not_stop_a_schedule() -> None:
    for timing in (Every(10), Cron("* * * * *")):
        schedule = Schedule("beat", timing, catch_up="latest")
        ahead = Standing(name="beat", definition=timing.definition, due_at=NOW + 86400)
        assert schedule.is_due(ahead, NOW)
        moved, ticks = schedule.moved(ahead, NOW)
        assert not ticks
        assert NOW < moved.due_at <= NOW + 60


def test_a_process_whose_clock_is_behind_does_not_set_a_schedule_back() -> None:
    schedule = Schedule("beat", Every(0.1), catch_up="all")
    moved = Standing(name="beat", definition="every 0.1 s", due_at=NOW + 30)
    assert not schedule.is_due(moved, NOW)


async def test_a_process_that_was_slow_does_not_set_a_schedule_back(
    url: str, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    process, take = Process(url, clock, every=10), Timetable.take
    later: list[float] = [200]

    async def overtaken(self: Timetable, name: str, *, tx: Transaction) -> Standing:
        if later and clock.now() >= NOW + 10:
            clock.set_back(-later.pop())  # the call took so long; meanwhile another moved it
            ahead = Standing(name=name, definition="every 10 s", due_at=NOW + 220, version=1)
            await host.store.put("schedules", [ahead.put])
        return await take(self, name, tx=tx)

    monkeypatch.setattr(Timetable, "take", overtaken)
    async with process.running() as host:
        await clock.advance(10)
        assert (await Timetable(host.store).require("beat")).due_at == NOW + 220
    assert not later
    assert not process.runs


# --- the timetable ----------------------------------------------------------------------------


async def test_a_paused_schedule_passes_over_what_is_due_until_it_is_resumed(
    url: str, clock: ManualClock
) -> None:
    process = Process(url, clock, every=10)
    async with process.running() as host:
        timetable = Timetable(host.store)
        await clock.advance(15)
        await timetable.pause("beat")
        await timetable.pause("beat")
        await clock.advance(60)
        assert (await timetable.require("beat")).paused
        assert len(process.runs) == 1
        await timetable.resume("beat")
        await clock.advance(60)
    assert 2 < len(process.runs) <= 6
    assert process.runs[1] > NOW + 75


async def test_a_schedule_can_be_triggered_now(url: str, clock: ManualClock) -> None:
    process = Process(url, clock, every=1000)
    async with process.running() as host:
        await clock.advance(5)
        await trigger(host, "beat")
        await clock.settle()
        assert process.runs == [NOW + 5]
        await clock.advance(1000)
    assert process.runs == [NOW + 5, NOW + 1000]


async def test_the_timetable_says_how_every_schedule_stands(url: str, clock: ManualClock) -> None:
    process = Process(url, clock, every=10)
    async with process.running() as host:
        await clock.advance(15)
        timetable = Timetable(host.store)
        (standing,) = await timetable.all()
        assert (standing.name, standing.definition) == ("beat", "every 10 s")
        assert (standing.last_at, standing.due_at) == (NOW + 10, NOW + 20)
        assert not standing.paused


async def test_an_unknown_schedule_is_refused_with_those_there_are(
    url: str, clock: ManualClock
) -> None:
    process = Process(url, clock, every=10)
    async with process.running() as host:
        timetable = Timetable(host.store)
        for act in (timetable.pause, timetable.resume, timetable.require):
            with pytest.raises(NotFoundError, match=r"no schedule 'beet'.*there are: beat"):
                await act("beet")
        with pytest.raises(NotFoundError, match="'beet'"):
            await trigger(host, "beet")


# --- declaring --------------------------------------------------------------------------------


def test_schedules_are_in_the_model_and_one_worker_drives_them() -> None:
    app = App("shop")

    @app.schedule("nightly", cron="0 3 * * *")
    async def nightly() -> None: ...

    @app.schedule("beat", every=10, catch_up="none")
    async def beat() -> None: ...

    records = app.describe().of(DeclaredSchedule)
    assert [(each.name, each.definition, each.catch_up) for each in records] == [
        ("nightly", "cron 0 3 * * * in UTC", "latest"),
        ("beat", "every 10 s", "none"),
    ]
    assert [worker.name for worker in app.declarations.workers].count("schedules") == 1


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({}, "say either every=seconds, or cron="),
        ({"every": 1, "cron": "* * * * *"}, "say either"),
        ({"every": 0}, "schedule 'beat': every=0"),
        ({"cron": "often"}, "schedule 'beat': cron="),
        ({"every": 1, "catch_up": "some"}, "catch_up='some' is not latest, all or none"),
        ({"every": 1, "batch": 5}, "take out batch=5"),
    ],
)
def test_what_cannot_be_is_refused_by_its_name(options: dict[str, Any], fault: str) -> None:
    declare: Callable[..., Any] = App("shop").schedule
    with pytest.raises(ConfigError, match=fault):
        declare("beat", **options)
