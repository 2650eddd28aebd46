"""What `isthmus schedules` promises."""

import asyncio
from typing import Any

import pytest

from isthmus.handling.schedules.timetable import Timetable


@pytest.fixture
def scheduled(project: Any) -> Any:
    """The project after it has run for a moment: its schedule has a place in the timetable."""
    from isthmus.cli.locate import locate

    app = locate("shop:app")
    app.configure(port=0)

    async def run() -> None:
        async with app:
            pass
        running = asyncio.create_task(app.run(only=["schedules"]))
        await known()
        await app.drain()
        await running

    async def known() -> None:
        async with app.__class__("shop", engine="sqlite:///shop.db") as looker:
            timetable = Timetable(looker.declarations.host.store)
            while not await timetable.all():
                pass

    asyncio.run(run())
    return project


def test_schedules_are_listed_with_their_next_run(scheduled: Any) -> None:
    [row] = scheduled.json("schedules")
    assert (row["name"], row["definition"]) == ("nightly", "cron 0 3 * * * in UTC")
    assert row["due_at"] % 86400 == 3 * 3600
    assert "03:00:00" in scheduled("schedules").output or "nightly" in scheduled("schedules").output


def test_a_schedule_is_paused_and_resumed(scheduled: Any) -> None:
    assert "nightly is paused" in scheduled("schedules", "pause", "nightly").output
    assert scheduled.json("schedules")[0]["paused"] is True
    assert scheduled("schedules", "resume", "nightly").exit_code == 0
    assert "paused" not in scheduled.json("schedules")[0]


def test_a_schedule_is_triggered(scheduled: Any) -> None:
    assert scheduled("schedules", "trigger", "nightly").exit_code == 0
    rows = {row["name"]: row["ready"] for row in scheduled.json("queues", "--all")}
    assert rows["isthmus.schedule.nightly"] == 1


@pytest.mark.parametrize("command", ["pause", "resume", "trigger"])
def test_an_unknown_schedule_is_told_what_there_is(scheduled: Any, command: str) -> None:
    result = scheduled("schedules", command, "weekly")
    assert result.exit_code == 1
    assert "'weekly'" in result.output
    assert "nightly" in result.output
