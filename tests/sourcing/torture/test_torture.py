"""Tellers that are killed with SIGKILL: no event is lost or doubled, no read model off by one."""

import importlib.util
import os
import sys
from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from tests.books import unless_away
from tests.stores import Stores

from isthmus.testing.torture import Place, Reckoning, Torture

pytestmark = [pytest.mark.torture, pytest.mark.timeout(600)]

TELLER = Path(__file__).with_name("teller.py")
SIZE = float(os.environ.get("ORDEAL", "1"))
TELLERS, COMMANDS, KILLS = 3, int(1500 * SIZE), int(12 * SIZE)
OUTAGES = 2 + int(4 * SIZE)
"""How often the server is killed, where there is one."""


def the_teller() -> ModuleType:
    spec = importlib.util.spec_from_file_location("torture_teller", TELLER)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["torture_teller"] = module
    spec.loader.exec_module(module)
    return module


def endings(folder: Path) -> dict[str, str]:
    """Return how each command ended, by its id; a line that a kill cut off is none."""
    lines = [
        line.split()
        for file in folder.glob("told-*")
        for line in file.read_text().splitlines()
        if line.endswith(".")
    ]
    return {line[0]: line[1] for line in lines}


def wanted(ends: dict[str, str]) -> list[tuple[str, str]]:
    """Return the events that there have to be: of which command, and what happened."""
    found = list[tuple[str, str]]()
    for label, end in ends.items():
        if end == "transferred":
            found += [(label, "Withdrawn"), (label, "Deposited")]
        elif end == "done":
            found.append((label, "one"))
    return found


async def test_tellers_under_kills_lose_and_double_nothing(
    tmp_path: Path, sql_stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BANK_URL", sql_stores("bank"))
    module = the_teller()
    bank: Any = module.Bank(tmp_path)
    for number in range(TELLERS):
        (tmp_path / f"told-{number}").touch()
    places = [
        Place(
            name=f"teller-{number}",
            command=[sys.executable, str(TELLER), str(tmp_path), str(number), str(COMMANDS)],
        )
        for number in range(TELLERS)
    ]
    rebuilt = 0
    async with bank.app:
        await bank.accounts.handle("acc-0", module.Deposit(1), headers={"n": "first"})

        async def settled() -> bool:
            nonlocal rebuilt
            if rebuilt < 2 and len(endings(tmp_path)) > COMMANDS * rebuilt:
                await bank.balances.rebuild()
                rebuilt += 1
            standing = await bank.balances.standing()
            return (
                len(endings(tmp_path)) == TELLERS * COMMANDS
                and standing.building is None
                and not standing.asked
                and not await bank.balances.behind()
                and not await bank.balances.parked()
            )

        torture = Torture(*places, folder=tmp_path, pause=(0.5, 2.0), forgiven=sql_stores.forgiven)
        async with torture, sql_stores.suffering(OUTAGES) as outages:
            await bank.balances.rebuild()
            await torture.run(until=unless_away(outages.over(settled)), kills=KILLS, within=400)
        assert torture.faults == []
        events = [event async for event in bank.accounts.read()]
        gaps = await gaps_of(bank)
        ends, live = endings(tmp_path), (await bank.balances.standing()).live.number
        states = dict(await bank.documents.scan(limit=1000))
        async with bank.app.transaction() as tx:
            rows = await tx.fetch("select account, amount, events from balances")
        hits = {hit.texts["text"] for hit in await bank.index.search("has", limit=1000)}
    assert len(torture.killed) >= KILLS
    assert gaps == []
    judge_events(module, events, ends)
    judge_models(module, events, rows=rows, states=states, hits=hits)
    print(
        f"\n{len(ends)} commands, {len(events)} events, {len(torture.killed)} kills, "
        f"{outages}, generation {live} is live"
    )


async def gaps_of(bank: Any) -> list[tuple[int, int, int]]:
    """Return where the feed skips an offset: of which partition, and between which two."""
    host, found = bank.app.declarations.host, list[tuple[int, int, int]]()
    for partition in range(4):
        offsets, last = list[int](), -1
        while records := await host.log.read("account", partition, offset=last + 1, limit=1000):
            offsets += [record.offset for record in records]
            last = offsets[-1]
        assert offsets, "each partition has something"
        found += [(partition, a, b) for a, b in pairwise([-1, *offsets]) if b != a + 1]
    return found


def judge_events(module: ModuleType, events: list[Any], ends: dict[str, str]) -> None:
    """Each command that was done has its events once, with no gap, and no account is below 0."""
    found = [
        (
            event.headers["n"],
            type(event.value).__name__ if ends.get(event.headers["n"]) == "transferred" else "one",
        )
        for event in events
    ]
    reckoning = Reckoning("events", wanted=[("first", "one"), *wanted(ends)], found=found)
    assert reckoning.balances, str(reckoning)
    versions, balances = defaultdict[str, list[int]](list), defaultdict[str, int](int)
    for event in events:
        versions[event.key].append(event.version)
        balances[event.key] += module.change(event.value)
        assert balances[event.key] >= 0
    for key, of in versions.items():
        assert of == list(range(1, len(of) + 1)), key


def judge_models(
    module: ModuleType,
    events: list[Any],
    *,
    rows: Sequence[Any],
    states: dict[str, Any],
    hits: set[str],
) -> None:
    """Every read model is what the events come to."""
    amounts, counts = defaultdict[str, int](int), defaultdict[str, int](int)
    for event in events:
        amounts[event.key] += module.change(event.value)
        counts[event.key] += 1
    assert {row[0]: tuple(row[1:]) for row in rows} == {
        key: (amounts[key], counts[key]) for key in amounts
    }
    assert {key: state.balance for key, state in states.items()} == amounts
    assert hits == {f"{key} has {amount}" for key, amount in amounts.items()}
