"""Django views on SQLite, under a WSGI server with many threads: row and event together."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SITE = Path(__file__).with_name("django_site.py")


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, SITE],
        cwd=tmp_path_factory.mktemp("site"),
        capture_output=True,
        text=True,
        timeout=55,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_rows_and_messages_of_atomic_views_leave_together(told: dict[str, Any]) -> None:
    numbers = sorted(str(number) for number in range(20))
    assert told["rows"] == numbers
    assert told["messages"] == numbers
    assert {told["answers"][f"/place/{number}"] for number in numbers} == {200}


def test_of_a_view_that_fails_neither_leaves(told: dict[str, Any]) -> None:
    assert {told["answers"][f"/place/bad{number}"] for number in range(5)} == {500}
    assert not [each for each in told["messages"] if each.startswith("bad")]


def test_outside_of_atomic_a_view_is_refused(told: dict[str, Any]) -> None:
    assert told["answers"]["/alone/1"] == 500
