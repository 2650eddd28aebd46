"""`isthmus api`, as a person and as CI call it."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

PAGE = {"openapi": "3.1.0", "info": {"title": "x", "version": "1"}, "paths": {"/a": {"get": {}}}}
SHOP = '''
import msgspec
from isthmus import App

app = App("shop", engine="memory://")
versions = app.versions("v2", "v1")
versions.deprecate("v1", since="2026-01-01", sunset="2027-06-01")

class Order(msgspec.Struct):
    total: int

@versions.change("v2", Order)
class TotalInCents:
    """Totals are in cents.

    They were decimal strings.
    """

nothing = App("other", engine="memory://")
'''


def api(*words: str, cwd: Path, given: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [Path(sys.executable).with_name("isthmus"), "api", *words],
        check=False,
        cwd=cwd,
        input=given,
        capture_output=True,
        text=True,
        timeout=30,
    )


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "old.json").write_text(json.dumps(PAGE))
    (tmp_path / "new.json").write_text(json.dumps({**PAGE, "paths": {}}))
    (tmp_path / "shop.py").write_text(SHOP)
    return tmp_path


def test_a_revision_that_breaks_nothing_is_fine(place: Path) -> None:
    done = api("diff", "old.json", "old.json", cwd=place)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "nothing breaks\n")


def test_one_that_does_is_told_sentence_by_sentence_and_fails(place: Path) -> None:
    done = api("diff", "old.json", "new.json", cwd=place)
    assert (done.returncode, done.stdout) == (1, "GET /a: operation: it is gone\n")
    assert done.stderr == "1 thing breaks for clients of the old one\n"


def test_it_is_told_to_programs_and_reads_the_standard_input(place: Path) -> None:
    done = api("diff", "-", "new.json", "--json", cwd=place, given=json.dumps(PAGE))
    assert done.returncode == 1
    assert json.loads(done.stdout) == [
        {"operation": "GET /a", "where": "operation", "told": "it is gone"}
    ]
    assert api("diff", "old.json", "old.json", "--json", cwd=place).stdout == "[]\n"


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("diff", "none.json", "new.json"), "cannot read none.json"),
        (("diff", "shop.py", "new.json"), "shop.py is no JSON"),
        (("diff", "-", "-"), "the other is a file"),
        (("changelog", "shop:nothing"), "this app has no versions"),
    ],
)
def test_what_cannot_be_read_is_an_error_for_people(
    place: Path, words: tuple[str, ...], why: str
) -> None:
    done = api(*words, cwd=place)
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert why in done.stderr


def test_the_changelog_is_made_of_what_changes_say(place: Path) -> None:
    done = api("changelog", "shop:app", cwd=place)
    assert done.returncode == 0, done.stderr
    assert done.stdout == (
        "## v2\n\n- **Order**: Totals are in cents.\n\n  They were decimal strings.\n\n"
        "## v1\n\nDeprecated since 2026-01-01, gone from 2027-06-01.\n"
    )
    told: Any = json.loads(api("changelog", "--app", "shop:app", "--json", cwd=place).stdout)
    assert told[0]["changes"][0]["name"] == "TotalInCents"
    assert told[1]["gone_from"] == "2027-06-01"
