"""Three services as processes, killed with SIGKILL: every flow ends, and nothing happens twice."""

import asyncio
import importlib.util
import random
import signal
import sqlite3
import sys
from collections import Counter
from contextlib import closing
from pathlib import Path
from types import ModuleType

import pytest

from isthmus.flows import Flows, Status

SERVICES = Path(__file__).with_name("services.py")
NAMES = ("orders", "stock", "billing")


def the_services() -> ModuleType:
    spec = importlib.util.spec_from_file_location("torture_services", SERVICES)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Processes:
    """Those that are up, by the name of their service."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.up: dict[str, asyncio.subprocess.Process] = {}

    async def start(self, name: str) -> None:
        self.up[name] = await asyncio.create_subprocess_exec(
            sys.executable, str(SERVICES), name, str(self._folder)
        )

    async def kill(self, name: str) -> None:
        process = self.up.pop(name)
        process.kill()
        await process.wait()

    async def stop(self) -> list[int]:
        for process in self.up.values():
            process.send_signal(signal.SIGTERM)
        return [await process.wait() for process in self.up.values()]


def effects(folder: Path, service: str, what: str) -> Counter[str]:
    with closing(sqlite3.connect(folder / f"{service}.db")) as db:
        rows = db.execute("select of from effects where what = ?", (what,)).fetchall()
    return Counter(of for (of,) in rows)


@pytest.mark.parametrize(
    ("count", "kills"),
    [
        pytest.param(40, ["stock"], id="one-killed"),
        pytest.param(600, [*NAMES] * 4, id="all-killed", marks=pytest.mark.torture),
    ],
)
@pytest.mark.timeout(240)
async def test_killed_services_complete_or_compensate_every_flow_once(
    tmp_path: Path, count: int, kills: list[str]
) -> None:
    processes, module = Processes(tmp_path), the_services()
    for name in NAMES:  # declares its subscriptions, so that it misses nothing
        async with module.Service(name, tmp_path).app:
            pass
    watch = module.Service("orders", tmp_path)
    async with watch.app:
        clock, flows = watch.app.declarations.host.clock, Flows(watch.app.declarations.host)
        for name in NAMES:
            await processes.start(name)
        orders, quotes = [f"o-{i}" for i in range(count)], [f"q-{i}" for i in range(count // 2)]

        async def publish() -> str:
            """Publish all, for as long as services are killed; return the first one's id."""
            first = ""
            for place, order in enumerate(orders):
                id_ = await watch.placed.publish(module.Placed(order))
                first = first or id_
                if place % 2:
                    await watch.asked.publish(module.Asked(quotes[place // 2]))
                await clock.sleep(len(kills) / count)
            return first

        async def ended(name: str, status: Status) -> set[str]:
            return {each.key for each in await flows.list(status=status, flow=name, limit=10_000)}

        publishing = asyncio.create_task(publish())
        for victim in kills:
            await clock.sleep(random.uniform(0.3, 0.8))
            await processes.kill(victim)
            await processes.start(victim)
        first = await publishing
        while (
            len(await ended("fulfilment", "completed")) < count
            or len(await ended("quotes", "timed_out")) < count // 2
            or len(effects(tmp_path, "stock", "withdrawn")) < count // 2
        ):
            await clock.sleep(0.2)
        status = await flows.status(f"fulfilment/{first}")
    assert await processes.stop() == [0, 0, 0]
    once = Counter(dict.fromkeys(orders, 1))
    assert effects(tmp_path, "stock", "placed") == once
    assert effects(tmp_path, "billing", "reserved") == once
    assert effects(tmp_path, "orders", "charged") == once
    assert effects(tmp_path, "stock", "withdrawn") == Counter(dict.fromkeys(quotes, 1))
    assert [each.source for each in status.timeline] == ["orders", "stock", "billing", "orders"]
    (branch,) = status.tree
    path = [branch.seen.event]
    while branch.then:
        (branch,) = branch.then
        assert branch.caused
        path.append(branch.seen.event)
    assert path == ["placed", "reserved", "charged", "shipped"]
