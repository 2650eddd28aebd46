"""What `isthmus sagas` promises."""

import asyncio
import sys
from pathlib import Path
from typing import Any

import pytest

from isthmus.sagas.facts import SagaEnded, SagaStuck
from isthmus.signals import Signal

APP = """
    from isthmus import App, Retry
    from isthmus.sagas import Saga, Compensate

    app = App("trips", engine="sqlite:///trips.db")
    broken = True

    async def book(trip: str) -> str:
        return f"seat of {trip}"

    async def unbook(seat: str) -> None:
        if broken and "bad" in seat:
            raise ValueError("desk is shut")

    @app.saga("trip", undo_retry=Retry(1), compensate_on=[LookupError])
    async def trip(saga: Saga, to: str) -> str:
        seat = await saga.step(book, to, undo=unbook)
        if to != "rome":
            raise Compensate(f"no way to {to}")
        return seat

    @app.saga("wait")
    async def wait(saga: Saga) -> None:
        await saga.sleep(3600)
"""


@pytest.fixture
def trips(empty: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A folder with an app whose sagas are completed, compensated, stuck, and asleep."""
    empty.write("trips.py", APP)
    monkeypatch.setenv("ISTHMUS_APP", "trips:app")
    asyncio.run(go_on(3))
    return empty


async def go_on(count: int) -> None:
    """Run the app until `count` sagas ended, or are stuck."""
    from isthmus.cli.locate import locate

    app = locate("trips:app")
    app.configure(port=0)
    trips = sys.modules["trips"]
    left, done = count, asyncio.Event()

    def note(_: Signal) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            done.set()

    endings = [app.signals.listen(kind, note) for kind in (SagaEnded, SagaStuck)]
    async with app:
        await trips.wait.start(id="w")
        for each in ("rome", "oslo", "bad"):
            await trips.trip.start(each, id=each)
    running = asyncio.create_task(app.run())
    await done.wait()
    await app.drain()
    await running
    for end in endings:
        end()


def test_they_are_described(trips: Any) -> None:
    described = trips("describe").output
    assert "trip/1" in described
    assert trips("describe", "--json").exit_code == 0


def test_they_are_counted_by_status(trips: Any) -> None:
    counted = {(row["name"], row["status"]): row["count"] for row in trips.json("sagas")}
    assert counted == {
        ("trip", "completed"): 1,
        ("trip", "compensated"): 1,
        ("trip", "stuck"): 1,
        ("wait", "running"): 1,
    }


def test_those_that_are_stuck_are_listed_first_with_the_reason(trips: Any) -> None:
    listed = trips.json("sagas", "list")
    assert [each["id"] for each in listed] == ["bad", "w"]
    assert "desk is shut" in trips("sagas", "list", "--status", "stuck").output
    assert [each["id"] for each in trips.json("sagas", "list", "--search", "SHUT")] == ["bad"]
    assert [each["id"] for each in trips.json("sagas", "list", "--name", "wait")] == ["w"]
    assert trips.json("sagas", "list", "--status", "completed")[0]["id"] == "rome"
    assert "no such sagas" in trips("sagas", "list", "--name", "other").output


def test_one_is_shown_with_all_that_happened(trips: Any) -> None:
    shown = trips("sagas", "show", "trip/bad").output
    assert "stuck: compensation" in shown
    assert 'book -> "seat of bad"' in shown
    assert "turns back  declared: no way to bad" in shown
    told = trips.json("sagas", "show", "trip/rome")
    assert [event["event"] for event in told["events"]] == ["started", "begun", "done", "ended"]
    missing = trips("sagas", "show", "trip/nobody")
    assert (missing.exit_code, "there is no saga 'trip/nobody'" in missing.output) == (1, True)
    assert "write name and id" in trips("sagas", "show", "nobody").output


def test_a_stuck_one_is_resumed(trips: Any) -> None:
    assert "trip/bad is told to go on" in trips("sagas", "resume", "trip/bad").output
    vars(sys.modules["trips"])["broken"] = False
    asyncio.run(go_on(1))
    assert trips.json("sagas", "show", "trip/bad")["status"] == "compensated"


def test_one_is_cancelled_and_a_completed_one_taken_back(trips: Any) -> None:
    assert trips("sagas", "cancel", "wait/w", "--why", "no time").exit_code == 0
    assert trips("sagas", "compensate", "trip/rome").exit_code == 0
    asyncio.run(go_on(2))
    assert trips.json("sagas", "show", "wait/w")["error"] == "no time"
    assert trips.json("sagas", "show", "trip/rome")["status"] == "compensated"


def test_a_history_is_exported_and_all_are_checked_against_the_code(trips: Any) -> None:
    from isthmus.testing import replay

    assert "has 4 events" in trips("sagas", "export", "trip/rome", "rome.json").output
    assert replay(sys.modules["trips"].trip, Path("rome.json")) == ["trip/rome"]
    fine = trips("sagas", "check")
    assert (fine.exit_code, "all would go on" in fine.output) == (0, True)
    trips.write("changed.py", APP.replace("saga.sleep(3600)", "saga.wait_for(str)"))
    astray = trips("sagas", "check", "--app", "changed:app")
    assert astray.exit_code == 1
    assert "wait/w: at 1 the history has sleep" in astray.output
