"""What lists promise: aligned for people, exact for programs."""

import json
import os
import pty
import subprocess
import sys

import pytest

from isthmus.cli.listing import listing
from isthmus.cli.wording import excerpt, moment, span

COLUMNS = {"NAME": lambda row: row["name"], "COUNT": lambda row: row["count"]}
ROWS = [{"name": "a", "count": 5}, {"name": "long-name", "count": 12345}]


def test_text_is_aligned_numbers_to_the_right(capsys: pytest.CaptureFixture[str]) -> None:
    listing(ROWS, COLUMNS, as_json=False, empty="")
    assert capsys.readouterr().out == ("NAME       COUNT\na              5\nlong-name  12345\n")


def test_json_is_what_the_rows_are(capsys: pytest.CaptureFixture[str]) -> None:
    listing(ROWS, COLUMNS, as_json=True, empty="")
    assert json.loads(capsys.readouterr().out) == ROWS


def test_nothing_is_said_in_words_and_as_an_empty_list(capsys: pytest.CaptureFixture[str]) -> None:
    listing([], COLUMNS, as_json=False, empty="none yet")
    listing([], COLUMNS, as_json=True, empty="none yet")
    assert capsys.readouterr().out == "none yet\n[]\n"


def test_a_terminal_gets_a_table_whose_text_is_never_markup() -> None:
    code = (
        "from isthmus.cli.listing import listing\n"
        "listing([{'n': '[red]x'}], {'NAME': lambda row: row['n']}, as_json=False, empty='')\n"
    )
    ours, theirs = pty.openpty()
    subprocess.run([sys.executable, "-c", code], stdout=theirs, check=True)
    os.close(theirs)
    shown = os.read(ours, 10_000).decode()
    os.close(ours)
    assert "NAME" in shown
    assert "[red]x" in shown


def test_spans_are_told_in_their_largest_unit() -> None:
    told = [span(seconds) for seconds in (-1, 0.25, 3, 150, 7200, 400_000)]
    assert told == ["0 ms", "250 ms", "3 s", "2 min", "2 h", "5 d"]


def test_no_moment_is_a_dash() -> None:
    assert moment(0) == "-"
    assert len(moment(1_700_000_000)) == len("2023-11-14 22:13:20")


def test_an_excerpt_is_one_line() -> None:
    assert excerpt(b"a\n  b\xff") == "a b\ufffd"
    assert excerpt(b"x" * 100, most=10) == "xxxxxxx..."
