"""Processes are killed and frozen: every saga ends, and what it did is there once, or undone."""

import os
import shutil
import sys
import tempfile
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.books import rows, unless_away
from tests.stores import Stores

from isthmus.sagas.management import Sagas
from isthmus.testing.torture import Place, Reckoning, Recorder, Torture

HERE = Path(__file__).parent
SIZE = float(os.environ.get("ORDEAL", "1"))
YOUNG = "status -15"
"""Of a process that was drained before it could know what that means."""
SAGAS, KILLS, WORKERS, PRODUCERS = int(600 * SIZE), int(12 * SIZE), 3, 2
OUTAGES = 2 + int(4 * SIZE)
"""How often the server is killed, where there is one that keeps what it acknowledged: with
durability=normal it may lose the last half second."""


@pytest.fixture
def journey(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.syspath_prepend(HERE)
    import journey  # pyright: ignore[reportMissingImports]

    yield journey
    del sys.modules["journey"]


@pytest.fixture
def folder(request: pytest.FixtureRequest) -> Iterator[Path]:
    """A folder that stays, if the test fails."""
    made = Path(tempfile.mkdtemp(prefix="isthmus-journey-"))
    failed = request.session.testsfailed
    yield made
    if request.session.testsfailed == failed:
        shutil.rmtree(made)


def places(folder: Path, recorder: Recorder, url: str) -> Iterator[Place]:
    told = {"JOURNEY_RECORDER": str(recorder.port), "ISTHMUS_ENGINE": url}
    run = [sys.executable, "-m", "isthmus", "run", "journey:app", "--log-level", "error"]
    yield Place(
        name="worker", command=run, count=WORKERS, folder=HERE, environment=os.environ | told
    )
    for share in range(PRODUCERS):
        numbers = map(str, (share, SAGAS, PRODUCERS))
        start = [sys.executable, "journey.py", str(folder / f"acknowledged-{share}"), *numbers]
        yield Place(
            name=f"producer-{share}",
            command=start,
            folder=HERE,
            environment=os.environ | told,
            ends=True,
        )


def settled(app: Any, torture: Torture) -> Callable[[], Awaitable[bool]]:
    async def is_settled() -> bool:
        sagas = Sagas(app.declarations.host)
        going = [await sagas.list(status=status) for status in ("running", "compensating")]
        return torture.done and not any(going)

    return is_settled


class Aftermath:
    def __init__(self, journey: Any, url: str, told: Any) -> None:
        self._journey, self._told = journey, told
        self._rows = rows(url, "select what, number from done")

    def reckonings(self) -> Iterator[Reckoning]:
        every = set(range(SAGAS))
        lost = {each for each in every if self._journey.never_answers(each)}
        back = {each for each in every if self._journey.turns_back(each)} | lost
        yield self._of("reserve", every)
        yield self._of("release", back)
        yield self._of("pack", every - lost)
        yield self._of("invoice", every - lost)
        yield self._of("credit", back - lost)
        yield self._of("ship", every - back)
        yield self._out_there("charge", every)
        yield self._out_there("refund", back)
        yield self._out_there("label", every - lost)

    def keys(self) -> dict[str, set[str]]:
        """Return the keys that each thing was told under."""
        found = defaultdict[str, set[str]](set)
        for line in self._told:
            what, number, key = line.split()
            found[f"{what} {number}"].add(key)
        return found

    def _of(self, what: str, wanted: set[int]) -> Reckoning:
        return Reckoning(what, wanted=wanted, found=[n for done, n in self._rows if done == what])

    def _out_there(self, what: str, wanted: set[int]) -> Reckoning:
        lines = [line.split() for line in self._told]
        found = {int(number) for told, number, _ in lines if told == what}
        return Reckoning(f"{what}, told", wanted=wanted, found=found)


@pytest.fixture(params=["normal", "full"])
def url(request: pytest.FixtureRequest, folder: Path, sql_stores: Stores) -> str:
    if sql_stores.kind == "sqlite":
        return f"sqlite:///{folder}/journey.db?durability={request.param}"
    return f"{sql_stores('journey')}&durability={request.param}"


@pytest.mark.torture
@pytest.mark.timeout(300 * max(SIZE, 1))
async def test_every_saga_ends_and_no_effect_is_lost_or_doubled(
    journey: Any, folder: Path, monkeypatch: pytest.MonkeyPatch, url: str, sql_stores: Stores
) -> None:
    monkeypatch.setenv("ISTHMUS_ENGINE", url)
    async with Recorder(folder / "told") as recorder:
        monkeypatch.setenv("JOURNEY_RECORDER", str(recorder.port))
        async with journey.app:
            torture = Torture(
                *places(folder, recorder, url),
                folder=folder,
                frozen=1.5 * journey.LEASE,
                forgiven=sql_stores.forgiven,
            )
            async with (
                torture,
                sql_stores.suffering(OUTAGES if url.endswith("full") else 0) as outages,
            ):
                await torture.run(
                    until=unless_away(outages.over(settled(journey.app, torture))),
                    kills=KILLS,
                    within=280 * max(SIZE, 1),
                )
            stuck = await Sagas(journey.app.declarations.host).list(status="stuck")
        told = recorder.told()
    aftermath = Aftermath(journey, url, told)
    reckonings = list(aftermath.reckonings())
    print(
        f"\n{url.rpartition('=')[2]}: {SAGAS} sagas, {len(torture.killed)} killed, "
        f"{len(torture.thawed)} frozen, {outages}, {told.total() - len(told)} told again"
    )
    print(*reckonings, sep="\n")
    assert stuck == []
    assert [str(each) for each in reckonings if not each.balances] == [], f"look into {folder}"
    assert {what: keys for what, keys in aftermath.keys().items() if len(keys) > 1} == {}
    assert [each for each in torture.faults if YOUNG not in each] == []
