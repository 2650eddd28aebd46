"""Processes of one App are killed, frozen and begun anew: nothing is lost, or done twice.

`make torture` runs it at length: ORDEAL=5 is five times as many orders and kills.
"""

import os
import sqlite3
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest

from isthmus.testing.torture import Place, Reckoning, Recorder, Torture

HERE = Path(__file__).parent
SIZE = float(os.environ.get("ORDEAL", "1"))
ORDERS, KILLS = int(10_000 * SIZE), int(12 * SIZE)
WORKERS, PRODUCERS = 3, 2
RATE = 400
"""Orders a second that each producer sends at most."""


def places(folder: Path, engine: str, recorder: Recorder) -> Iterator[Place]:
    surroundings = os.environ | {"ISTHMUS_ENGINE": engine, "ORDEAL_RECORDER": str(recorder.port)}
    run = [sys.executable, "-m", "isthmus", "run", "ordeal:app", "--log-level", "error"]
    worker = Place(name="worker", command=run, folder=HERE, environment=surroundings)
    yield msgspec.structs.replace(worker, count=WORKERS)
    for share in range(PRODUCERS):
        numbers = map(str, (share, ORDERS, PRODUCERS, RATE))
        produce = [sys.executable, "producer.py", str(folder / f"acknowledged-{share}"), *numbers]
        yield msgspec.structs.replace(worker, name=f"producer-{share}", command=produce, ends=True)


class Aftermath:
    """What somebody finds who was not part of it, when all is over."""

    def __init__(self, ordeal: Any, folder: Path, told: Counter[str]) -> None:
        self._ordeal, self._folder, self._told = ordeal, folder, told

    def rows(self) -> Iterator[Reckoning]:
        """Each effect in the database is there, once."""
        with closing(sqlite3.connect(self._folder / "ordeal.db")) as database:
            for stage, table in self._ordeal.TABLES.items():
                found = [number for (number,) in database.execute(f"select number from {table}")]
                yield Reckoning(f"rows of {stage}", wanted=self._done(stage), found=found)

    def told(self) -> Iterator[Reckoning]:
        """Each effect reached the recorder, once or again under the same key."""
        for stage in self._ordeal.STAGES:
            keys = [line.split() for line in self._told]
            found = [int(number) for name, number in keys if name == stage]
            yield Reckoning(f"told by {stage}", wanted=self._done(stage), found=found)

    async def dead(self) -> list[Reckoning]:
        """Each poison is a dead letter, once, and no innocent is."""
        reckonings = list[Reckoning]()
        for stage, source in self._ordeal.sources().items():
            letters = await source.dead_letters.list(limit=ORDERS)
            numbers = [msgspec.json.decode(each.message.body)["number"] for each in letters]
            found = numbers if self._ordeal.STAGES[stage] else set(numbers)  # some are sent twice
            wanted = self._came(stage) & self._ordeal.poison(stage, range(ORDERS))
            reckonings.append(Reckoning(f"dead letters of {stage}", wanted=wanted, found=found))
        return reckonings

    def acknowledged(self) -> Reckoning:
        files = [self._folder / f"acknowledged-{share}" for share in range(PRODUCERS)]
        found = [int(number) for file in files for number in file.read_text().split()]
        return Reckoning("acknowledged orders", wanted=range(ORDERS), found=found)

    def out_of_order(self) -> Sequence[Any]:
        """Return what was posted before a record of its key that stands before it."""
        posted: dict[Any, list[Any]] = {}
        with closing(sqlite3.connect(self._folder / "ordeal.db")) as database:
            for *key, at in database.execute(
                "select place, account, at from posted order by rowid"
            ):
                posted.setdefault(tuple(key), []).append(at)
        return [
            (key, former, later)
            for key, places in posted.items()
            for former, later in pairwise(places)
            if former > later
        ]

    def is_sound(self) -> bool:
        with closing(sqlite3.connect(self._folder / "ordeal.db")) as database:
            return database.execute("pragma integrity_check").fetchall() == [("ok",)]

    def leases(self) -> Sequence[Any]:
        """Return what the engine still holds for somebody."""
        with closing(sqlite3.connect(self._folder / "ordeal.db")) as database:
            held = "select token from isthmus_lease union select id from isthmus_single where token"
            return database.execute(held).fetchall()

    def _done(self, stage: str) -> set[int]:
        """Return the numbers that have an effect in a stage."""
        return self._came(stage) - self._ordeal.poison(stage, range(ORDERS))

    def _came(self, stage: str) -> set[int]:
        """Return the numbers that came to a stage: all that were done in the one before."""
        before = self._ordeal.STAGES[stage]
        return self._done(before) if before else set(range(ORDERS))


def settled(ordeal: Any, torture: Torture) -> Callable[[], Awaitable[bool]]:
    async def is_settled() -> bool:
        return torture.done and not await ordeal.left()

    return is_settled


@pytest.mark.torture
@pytest.mark.timeout(300 * max(SIZE, 1))
@pytest.mark.parametrize("durability", ["normal", "full"])
async def test_nothing_is_lost_or_done_twice_though_processes_are_killed(
    ordeal: Any, durability: str, folder: Path
) -> None:
    engine = f"sqlite:///{folder}/ordeal.db?durability={durability}"
    ordeal.app.configure(engine=engine)
    async with Recorder(folder / "told") as recorder:
        ordeal.reach(recorder.port)
        async with ordeal.app:
            torture = Torture(
                *places(folder, engine, recorder), folder=folder, frozen=1.5 * ordeal.LEASE
            )
            async with torture:
                await torture.run(
                    until=settled(ordeal, torture), kills=KILLS, within=280 * max(SIZE, 1)
                )
            aftermath = Aftermath(ordeal, folder, recorder.told())
            reckonings = [aftermath.acknowledged(), *aftermath.rows(), *aftermath.told()]
            reckonings += await aftermath.dead()
            left = await ordeal.left()
    print(
        f"\n{durability}: {len(torture.killed)} killed, {torture.deaths} killed by poison, "
        f"{len(torture.thawed)} frozen, repeats {recorder.told().total() - len(recorder.told())}"
    )
    print(*reckonings, sep="\n")
    assert [str(each) for each in reckonings if not each.balances] == [], f"look into {folder}"
    assert torture.faults == []
    assert left == {}
    assert aftermath.leases() == []
    assert aftermath.out_of_order() == []
    assert aftermath.is_sound()
