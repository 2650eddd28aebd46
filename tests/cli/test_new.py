"""What `isthmus new` promises: a project that runs, and whose test passes."""

import json
import os
import subprocess
import sys
import urllib.request
from typing import Any

import pytest


def test_the_project_s_own_test_passes(empty: Any) -> None:
    assert empty("new", "kiosk").exit_code == 0
    tested = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=empty.folder / "kiosk",
        env={**os.environ, "PYTHONWARNINGS": "error"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "2 passed" in tested.stdout, tested.stdout


def test_the_project_runs_as_it_is(empty: Any) -> None:
    empty("new", "kiosk")
    empty.folder /= "kiosk"
    running = empty.start("run", "--port", "0")
    address = running.address()
    request = urllib.request.Request(
        f"{address}/orders",
        data=json.dumps({"id": "a", "item": "kettle"}).encode(),
        headers={"content-type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert answer.status == 202
    assert running.stop() == 0


def test_nothing_is_overwritten(empty: Any) -> None:
    empty.write("kiosk/app.py", "mine")
    result = empty("new", "kiosk")
    assert (result.exit_code, "is there already" in result.output) == (1, True)
    assert (empty.folder / "kiosk" / "app.py").read_text("utf-8") == "mine"


@pytest.mark.parametrize("name", ["Kiosk", "../up", "1st", ""])
def test_a_name_that_cannot_be_is_refused(empty: Any, name: str) -> None:
    assert empty("new", name).exit_code == 1
