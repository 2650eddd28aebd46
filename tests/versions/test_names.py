"""Which version a text asks for."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus.errors import ConfigError
from isthmus.versions import UnknownVersionError, Version
from isthmus.versions.names import Names

NUMBERS = Names(["v3", "v2", "v1"])
DATES = Names(["2026-02-10", "2025-11-16", "2025-01-01"])


def test_the_first_is_head_and_the_last_the_oldest() -> None:
    assert (NUMBERS.head, NUMBERS.oldest) == ("v3", "v1")
    assert list(NUMBERS.after("v1")) == ["v2", "v3"]
    assert list(NUMBERS.after("v3")) == []


@pytest.mark.parametrize(
    ("text", "version"),
    [("v2", "v2"), ("V2", "v2"), ("2", "v2"), ("v9", None), ("", None), ("2025-01-01", None)],
)
def test_a_number_is_found_with_and_without_its_letter(text: str, version: str | None) -> None:
    assert NUMBERS.find(text) == version


def test_a_path_needs_the_name_itself() -> None:
    assert NUMBERS.find("2", exact=True) is None
    assert NUMBERS.find("v2", exact=True) == "v2"


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("2026-02-10", "2026-02-10"),
        ("2026-02-09", "2025-11-16"),
        ("2030-01-01", "2026-02-10"),
        ("2024-12-31", None),
        ("2026-13-01", None),
        ("20260210", None),
    ],
)
def test_an_unlisted_date_gets_the_newest_not_after_it(text: str, version: str | None) -> None:
    assert DATES.find(text) == version


@given(st.dates())
def test_a_date_never_gets_a_version_of_its_future(asked: date) -> None:
    version = DATES.find(asked.isoformat())
    older = [name for name in DATES.all if date.fromisoformat(name) <= asked]
    assert version == (older[0] if older else None)


def test_what_only_looks_like_a_version_is_told_from_other_segments() -> None:
    assert [NUMBERS.resembles(each) for each in ("v9", "v1.2", "orders", "9")] == [
        True,
        True,
        False,
        False,
    ]
    assert DATES.resembles("1999-01-01")
    assert not DATES.resembles("v1")


@pytest.mark.parametrize(
    ("names", "why"),
    [
        ([], "needs names"),
        (["v1", "v2"], "newest first"),
        (["2025-01-01", "2026-01-01"], "newest first"),
        (["v2", "2025-01-01"], "all dates, or none"),
        (["v1", "V1"], "twice"),
        (["v/1"], "expected letters"),
    ],
)
def test_names_that_cannot_be_meant_are_refused(names: list[str], why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        Names(names)


def test_names_without_numbers_keep_the_order_they_are_given_in() -> None:
    assert Names(["next", "stable"]).head == "next"


def test_a_version_compares_with_names_and_with_others() -> None:
    v1, v2 = Version("v1", NUMBERS), Version("v2", NUMBERS)
    assert v1 < v2 <= "v2" < Version("v3", NUMBERS)
    assert v2 == "v2" != v1
    assert v2 >= "v1"
    assert {v1: 1}[Version("v1", NUMBERS)] == 1
    assert str(v2) == "v2"
    assert Version("v3", NUMBERS).is_head
    with pytest.raises(UnknownVersionError, match="there are v3, v2, v1"):
        assert v1 < "v7"
