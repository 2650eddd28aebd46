"""A group of real processes that are killed with SIGKILL: nothing is lost, doubled or overtaken."""

import asyncio
import importlib.util
import random
import signal
import sqlite3
import sys
import time
from collections import defaultdict
from collections.abc import Collection
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import pytest

from isthmus import App

pytestmark = [pytest.mark.torture, pytest.mark.timeout(240)]

MEMBER = Path(__file__).with_name("member.py")
RECORDS, KEYS, KILLS, MEMBERS = 20_000, 97, 20, 3
SESSION = 2.0
LONGEST = 180.0


def the_member() -> ModuleType:
    spec = importlib.util.spec_from_file_location("torture_member", MEMBER)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Members:
    """Who is up, what they told, and who was killed when."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url, self.folder = url, folder
        self.up: list[tuple[asyncio.subprocess.Process, Path]] = []
        self.killed: list[tuple[float, Path]] = []

    async def start(self) -> None:
        events = self.folder / f"events-{len(self.up) + len(self.killed)}"
        events.touch()
        process = await asyncio.create_subprocess_exec(
            sys.executable, str(MEMBER), self.url, str(SESSION), str(events)
        )
        self.up.append((process, events))

    async def kill_one(self) -> None:
        process, events = self.up.pop(random.randrange(len(self.up)))
        process.kill()
        self.killed.append((time.time(), events))
        await process.wait()

    async def stop(self) -> list[int]:
        for process, _ in self.up:
            process.send_signal(signal.SIGTERM)
        return [await process.wait() for process, _ in self.up]

    def takeovers(self) -> list[float]:
        """Seconds from a kill until another had a partition of the killed."""
        taken = sorted(
            (float(at), int(partition), events)
            for events in self.folder.glob("events-*")
            for partition, at in map(str.split, events.read_text().splitlines())
        )
        found = list[float]()
        for killed_at, events in self.killed:
            for partition in {p for _, p, _ in taken}:
                of = [(at, by) for at, p, by in taken if p == partition]
                before = [by for at, by in of if at <= killed_at]
                after = [at for at, _ in of if at > killed_at]
                if before and before[-1] == events and after:
                    found.append(after[0] - killed_at)
        return found


async def prepare(app: App, ledger: Any, entry: Any) -> None:
    async with app.transaction() as tx:
        await tx.execute(
            "create table effects (place integer primary key autoincrement, account, amount)"
        )
        await tx.execute("create table failures (amount)")
        await tx.execute("create index failed on failures (amount)")
    fails = {n: random.choice((1, 2, 99)) for n in random.sample(range(RECORDS), 60)}
    await ledger.append_many(
        entry(f"acc-{random.randrange(KEYS)}", n, fails.get(n, 0)) for n in range(RECORDS)
    )


async def at_rest(ledger: Any) -> bool:
    behind = sum((await ledger.lag("balances")).values())
    return not behind and not await ledger["balances"].parked()


async def buried(ledger: Any, entry: Any) -> dict[int, str]:
    """Return the reasons of the dead letters, by amount."""
    letters = await ledger["balances"].dead_letters.list(limit=RECORDS)
    reasons = {
        msgspec.json.decode(each.message.body, type=entry).amount: "; ".join(
            [each.reason, *[failure.error for failure in each.failures]]
        )
        for each in letters
    }
    assert len(reasons) == len(letters), "one was buried twice"
    return reasons


def judge(database: Path, entries: Collection[Any], dead: Collection[int]) -> None:
    """Every entry has its effect once, in the order of its key, or is a dead letter once."""
    wanted, found = defaultdict[str, list[int]](list), defaultdict[str, list[int]](list)
    for entry in entries:
        if entry.amount not in dead:
            wanted[entry.account].append(entry.amount)
    with sqlite3.connect(database) as connection:
        for account, amount in connection.execute(
            "select account, amount from effects order by place"
        ):
            found[account].append(amount)
    assert found == wanted


async def test_a_group_under_kills_handles_each_record_once_and_in_order(tmp_path: Path) -> None:
    module, url = the_member(), f"sqlite:///{tmp_path}/torture.db?durability=normal"
    members, (app, ledger) = Members(url, tmp_path), module.ledger_app(url, session=SESSION)
    async with app:
        await prepare(app, ledger, module.Entry)
        clock, began = app.declarations.host.clock, time.monotonic()
        for _ in range(MEMBERS):
            await members.start()
        while time.monotonic() - began < LONGEST:
            await clock.sleep(random.uniform(0.5, 2.0))
            if len(members.killed) < KILLS:
                await members.kill_one()
                await members.start()
            elif await at_rest(ledger):
                break
        took = time.monotonic() - began
        codes = await members.stop()
        dead = await buried(ledger, module.Entry)
        entries = [entry async for entry in ledger.read()]
        lag = await ledger.lag("balances")
    print(
        f"\n{len(entries)} records, {len(members.killed)} kills, {len(dead)} dead letters "
        f"in {took:.0f} s; exit codes {codes}; lag {sum(lag.values())}"
    )
    waited = members.takeovers()
    print(
        f"{len(waited)} partitions of the killed were taken over after "
        f"{min(waited):.2f} to {max(waited):.2f} s (session {SESSION:g} s)"
    )
    judge(tmp_path / "torture.db", entries, dead)
    assert len(members.killed) == KILLS
    poison = {entry.amount for entry in entries if entry.fails >= module.ATTEMPTS}
    assert {amount: dead[amount] for amount in dead.keys() - poison} == {}
    assert poison <= dead.keys()
    assert sum(lag.values()) == 0
    assert codes == [0] * MEMBERS
