"""Durable sagas of three steps, beside DBOS: one after the other, and sixteen at a time."""

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import msgspec

from bench.callers import rate
from bench.contest import Benchmark, Measures, Results
from bench.figure import Figure, figure
from bench.ours import app_in, running, turn
from isthmus import Saga

WORDS = "x" * 200
COUNTS = {1: {"isthmus": 200, "dbos": 25}, 16: {"isthmus": 2_000, "dbos": 48}}
"""How many of each; each turn takes a second or so."""


class Parcel(msgspec.Struct):
    words: str


async def weigh(words: str) -> str:
    return words


async def label(words: str) -> str:
    return words


async def ship(words: str) -> str:
    return words


Once = Callable[[int], Awaitable[None]]


async def _isthmus(folder: Path) -> Measures:
    app = app_in(folder, "full")

    @app.saga("parcel", version=1)
    async def parcel(saga: Saga, given: Parcel) -> str:
        weighed = await saga.step(weigh, given.words)
        labelled = await saga.step(label, weighed)
        return await saga.step(ship, labelled)

    async def once(number: int) -> None:
        handle = await parcel.start(Parcel(WORDS), id=f"parcel-{number}")
        assert await handle.result() == WORDS

    async with app, running(app):
        return await _measured(once, "isthmus")


async def _dbos(folder: Path) -> Measures:
    from dbos import DBOS, DBOSConfig  # pyright: ignore[reportMissingImports]

    config: DBOSConfig = {
        "name": "bench",
        "system_database_url": f"sqlite:///{folder}/dbos.db",
        "log_level": "ERROR",
        "run_admin_server": False,
    }
    DBOS(config=config)
    steps = [DBOS.step()(each) for each in (weigh, label, ship)]

    @DBOS.workflow()
    async def parcel(words: str) -> str:
        for step in steps:
            words = await step(words)
        return words

    async def once(_: int) -> None:
        assert await parcel(WORDS) == WORDS

    DBOS.launch()
    try:
        return await _measured(once, "dbos")
    finally:
        DBOS.destroy()


async def _measured(once: Once, name: str) -> Measures:
    await once(-1)
    found, number = dict[str, float](), 0
    for callers, counts in COUNTS.items():
        count = counts[name]
        numbers = range(number, number + count)
        found[f"c{callers}"] = await rate(once, numbers, callers=callers)
        number += count
    return found


def figures(results: Results) -> Sequence[Figure]:
    targets = {1: ">= 5", 16: ">= 40"}
    return [
        *(
            figure(
                f"saga.sqlite.c{callers}.vs_dbos",
                results.ratios("isthmus", ["dbos"], f"c{callers}"),
                target=target,
            )
            for callers, target in targets.items()
        ),
        *(
            figure(f"saga.sqlite.c{callers}.{name}", results.of(name, f"c{callers}"), "/s")
            for callers in targets
            for name in BENCHMARK.contenders
        ),
    ]


BENCHMARK = Benchmark(
    name="sagas",
    title=(
        "sagas of three steps that return 200 characters, each remembered on disk before the next "
        "begins; by one caller, and by sixteen. isthmus: durability=full; DBOS: its defaults on "
        "SQLite, a rollback journal with synchronous=FULL"
    ),
    contenders={"isthmus": turn(_isthmus), "dbos": turn(_dbos)},
    figures=figures,
)
