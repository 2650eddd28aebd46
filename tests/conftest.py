"""What holds for every test."""

import os
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
    """Name every test that was skipped, and why: nobody forgets what did not run."""
    skipped = terminalreporter.stats.get("skipped", [])
    if not skipped:
        return
    terminalreporter.section("not run")
    for report in skipped:
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        terminalreporter.line(f"{report.nodeid}: {str(reason).removeprefix('Skipped: ')}")
