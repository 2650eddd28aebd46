"""What holds for every test."""

import os
from collections import Counter
from collections.abc import Callable

import pytest
from hypothesis import settings

CI = os.environ.get("CI") == "true"

os.environ.pop("ISTHMUS_ENGINE", None)  # a test names its engine

settings.register_profile("isthmus", deadline=None, derandomize=CI, print_blob=True)
settings.load_profile("isthmus")

Require = Callable[[bool, str], None]


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
