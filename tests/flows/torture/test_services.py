"""Three services as processes, killed with SIGKILL: every flow ends, and nothing happens twice."""

import asyncio
import importlib.util
import os
import random
import signal
import sys
from collections import Counter
from functools import partial
from pathlib import Path
from types import ModuleType

import pytest
from tests.books import at_last, rows, unless_away
from tests.stores import Stores

from isthmus.flows import Flows, Status

SERVICES = Path(__file__).with_name("services.py")
NAMES = ("orders", "stock", "billing")
SIZE = float(os.environ.get("ORDEAL", "0.5"))


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


def effects(url: str, what: str) -> Counter[str]:
    found = rows(url, "select what, of from effects")
    return Counter(of for done, of in found if done == what)


@pytest.mark.parametrize(
    ("count", "kills", "times"),
    [
        pytest.param(40, ["stock"], 0, id="one-killed"),
        pytest.param(
            int(1200 * SIZE),
            [*NAMES] * max(2, int(8 * SIZE)),
            2 + int(4 * SIZE),
            id="all-killed",
            marks=pytest.mark.torture,
        ),
    ],
)
@pytest.mark.timeout(240 * max(SIZE, 1))
async def test_killed_services_complete_or_compensate_every_flow_once(
    tmp_path: Path,
    sql_stores: Stores,
    monkeypatch: pytest.MonkeyPatch,
    count: int,
    kills: list[str],
    times: int,
) -> None:
    for name in ("engine", *NAMES):
        monkeypatch.setenv(f"SERVICES_{name.upper()}", sql_stores(name))
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

        async def publish() -> None:
            """Publish all, for as long as services are killed."""
            for place, order in enumerate(orders):
                placed = module.Placed(order)
                await at_last(partial(watch.placed.publish, placed, id=f"p-{order}"))
                if place % 2:
                    quote = quotes[place // 2]
                    asked = module.Asked(quote)
                    await at_last(partial(watch.asked.publish, asked, id=f"a-{quote}"))
                await clock.sleep(len(kills) / count)

        async def count_of(name: str, status: Status) -> int:
            return len(await flows.list(status=status, flow=name, limit=10_000))

        async def over() -> bool:
            return (
                await count_of("fulfilment", "completed") == count
                and await count_of("quotes", "timed_out") == count // 2
                and len(effects(sql_stores("stock"), "withdrawn")) == count // 2
            )

        async with sql_stores.suffering(times) as outages:
            publishing = asyncio.create_task(publish())
            for victim in kills:
                await clock.sleep(random.uniform(0.3, 0.8))
                await processes.kill(victim)
                await processes.start(victim)
            await publishing
            is_over = unless_away(outages.over(over))
            while not await is_over():
                await clock.sleep(0.2)
        status = await flows.status("fulfilment/p-o-0")
    print(f"\n{count * 3 // 2} flows, {len(kills)} kills, {outages}")
    assert await processes.stop() == [0, 0, 0]
    once = Counter(dict.fromkeys(orders, 1))
    assert effects(sql_stores("stock"), "placed") == once
    assert effects(sql_stores("billing"), "reserved") == once
    assert effects(sql_stores("orders"), "charged") == once
    assert effects(sql_stores("stock"), "withdrawn") == Counter(dict.fromkeys(quotes, 1))
    assert [each.source for each in status.timeline] == ["orders", "stock", "billing", "orders"]
    (branch,) = status.tree
    path = [branch.seen.event]
    while branch.then:
        (branch,) = branch.then
        assert branch.caused
        path.append(branch.seen.event)
    assert path == ["placed", "reserved", "charged", "shipped"]
