"""Processes of one App are killed, frozen and begun anew: nothing is lost, or done twice.

`make torture` runs it at length: ORDEAL=5 is five times as many orders and kills.
"""

import os
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.books import is_postgres, rows, unless_away
from tests.stores import Stores

from isthmus.testing.torture import Place, Reckoning, Recorder, Torture

HERE = Path(__file__).parent
SIZE = float(os.environ.get("ORDEAL", "1"))
WORKERS, PRODUCERS = 3, 2
OUTAGES = 2 + int(4 * SIZE)
"""How often the server is killed, where there is one."""
RATE = 400
"""Orders a second that each producer sends at most."""


class Round(msgspec.Struct, frozen=True, kw_only=True):
    """One way to keep the data, and how much it has to stand."""

    name: str
    orders: int
    kills: int
    engine: str = "ordeal.db?durability=normal"
    store: str = "ordeal.db?durability=normal"

    @property
    def lets_the_server_die(self) -> bool:
        """Which may lose the last half second of what is kept with durability=normal."""
        return self.name != "normal"

    def surroundings(self, folder: Path, stores: Stores) -> dict[str, str]:
        """Return the settings of all processes."""
        files = {"ISTHMUS_ENGINE": self.engine, "ISTHMUS_STORE": self.store}
        if stores.kind == "postgresql":
            grade = "full" if self.lets_the_server_die else "normal"
            return {
                name: f"{stores(file.partition('.')[0])}&durability={grade}"
                for name, file in files.items()
            }
        return {name: f"sqlite:///{folder}/{file}" for name, file in files.items()}


ROUNDS = [
    Round(name="normal", orders=int(10_000 * SIZE), kills=int(12 * SIZE)),
    Round(
        name="full",
        orders=int(10_000 * SIZE),
        kills=int(12 * SIZE),
        engine="ordeal.db?durability=full",
        store="ordeal.db?durability=full",
    ),
    Round(
        name="two engines",
        orders=int(3_000 * SIZE),
        kills=int(6 * SIZE),
        engine="engine.db?durability=normal",
    ),
]


def places(
    folder: Path, round_: Round, recorder: Recorder, surroundings: Mapping[str, str]
) -> Iterator[Place]:
    told = {"ORDEAL_RECORDER": str(recorder.port), **surroundings}
    run = [sys.executable, "-m", "isthmus", "run", "ordeal:app", "--log-level", "error"]
    worker = Place(name="worker", command=run, folder=HERE, environment=os.environ | told)
    yield msgspec.structs.replace(worker, count=WORKERS)
    for share in range(PRODUCERS):
        numbers = map(str, (share, round_.orders, PRODUCERS, RATE))
        produce = [sys.executable, "producer.py", str(folder / f"acknowledged-{share}"), *numbers]
        yield msgspec.structs.replace(worker, name=f"producer-{share}", command=produce, ends=True)


class Aftermath:
    """What somebody finds who was not part of it, when all is over."""

    def __init__(
        self,
        ordeal: Any,
        folder: Path,
        told: Counter[str],
        orders: int,
        surroundings: Mapping[str, str],
    ) -> None:
        self._ordeal, self._folder, self._told, self._orders = ordeal, folder, told, range(orders)
        self._store, self._urls = surroundings["ISTHMUS_STORE"], set(surroundings.values())

    def rows(self) -> Iterator[Reckoning]:
        """Each effect in the database is there, once."""
        for stage, table in self._ordeal.TABLES.items():
            found = [number for (number,) in rows(self._store, f"select number from {table}")]
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
            letters = await source.dead_letters.list(limit=len(self._orders))
            numbers = [msgspec.json.decode(each.message.body)["number"] for each in letters]
            twice = self._ordeal.apart() or not self._ordeal.STAGES[stage]  # some are sent again
            found = set(numbers) if twice else numbers
            wanted = self._came(stage) & self._ordeal.poison(stage, self._orders)
            reckonings.append(Reckoning(f"dead letters of {stage}", wanted=wanted, found=found))
        return reckonings

    def acknowledged(self) -> Reckoning:
        files = [self._folder / f"acknowledged-{share}" for share in range(PRODUCERS)]
        found = [int(number) for file in files for number in file.read_text().split()]
        return Reckoning("acknowledged orders", wanted=self._orders, found=found)

    def out_of_order(self) -> Sequence[Any]:
        """Return what was posted before a record of its key that stands before it."""
        posted: dict[Any, list[Any]] = {}
        for *key, at in rows(self._store, "select place, account, at from posted order by rowid"):
            posted.setdefault(tuple(key), []).append(at)
        return [
            (key, former, later)
            for key, places in posted.items()
            for former, later in pairwise(places)
            if former > later
        ]

    def damages(self) -> Sequence[Any]:
        """Return what SQLite finds wrong with the files."""
        found = self._of_each("sqlite", "pragma integrity_check")
        return [row for row in found if row != ("ok",)]

    def held(self) -> Sequence[Any]:
        """Return what the engine still holds for somebody."""
        return [
            *self._of_each(
                "sqlite",
                "select token from isthmus_lease union select id from isthmus_single where token",
            ),
            *self._of_each("postgresql", "select id from isthmus.slot where token is not null"),
        ]

    def _of_each(self, kind: str, sql: str) -> Sequence[Any]:
        return [row for url in self._urls if url.startswith(kind) for row in rows(url, sql)]

    def _done(self, stage: str) -> set[int]:
        """Return the numbers that have an effect in a stage."""
        return self._came(stage) - self._ordeal.poison(stage, self._orders)

    def _came(self, stage: str) -> set[int]:
        """Return the numbers that came to a stage: all that were done in the one before."""
        before = self._ordeal.STAGES[stage]
        return self._done(before) if before else set(self._orders)


def settled(ordeal: Any, torture: Torture) -> Callable[[], Awaitable[bool]]:
    async def is_settled() -> bool:
        return torture.done and not await ordeal.left()

    return is_settled


@pytest.mark.torture
@pytest.mark.timeout(300 * max(SIZE, 1))
@pytest.mark.parametrize("round_", ROUNDS, ids=lambda each: each.name)
async def test_nothing_is_lost_or_done_twice_though_processes_are_killed(
    ordeal: Any,
    round_: Round,
    folder: Path,
    sql_stores: Stores,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    surroundings = round_.surroundings(folder, sql_stores)
    for name, value in surroundings.items():
        monkeypatch.setenv(name, value)
    async with Recorder(folder / "told") as recorder:
        monkeypatch.setenv("ORDEAL_RECORDER", str(recorder.port))
        async with ordeal.app:
            if is_postgres(surroundings["ISTHMUS_STORE"]):  # which has no rowid
                async with ordeal.app.transaction() as tx:
                    await tx.execute("alter table posted add column rowid bigserial")
            torture = Torture(
                *places(folder, round_, recorder, surroundings),
                folder=folder,
                frozen=1.5 * ordeal.LEASE,
                forgiven=sql_stores.forgiven,
            )
            async with (
                torture,
                sql_stores.suffering(OUTAGES if round_.lets_the_server_die else 0) as outages,
            ):
                await torture.run(
                    until=unless_away(outages.over(settled(ordeal, torture))),
                    kills=round_.kills,
                    within=280 * max(SIZE, 1),
                )
            aftermath = Aftermath(ordeal, folder, recorder.told(), round_.orders, surroundings)
            reckonings = [aftermath.acknowledged(), *aftermath.rows(), *aftermath.told()]
            reckonings += await aftermath.dead()
            left = await ordeal.left()
    print(
        f"\n{round_.name}: {len(torture.killed)} killed, {torture.deaths} killed by poison, "
        f"{len(torture.thawed)} frozen, {outages}, "
        f"repeats {recorder.told().total() - len(recorder.told())}"
    )
    print(*reckonings, sep="\n")
    assert [str(each) for each in reckonings if not each.balances] == [], f"look into {folder}"
    assert torture.faults == []
    assert left == {}
    assert aftermath.held() == []
    assert aftermath.out_of_order() == []
    assert aftermath.damages() == []
