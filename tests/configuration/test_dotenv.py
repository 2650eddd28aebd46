from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus.configuration.dotenv import dotenv
from isthmus.errors import ConfigError


def read(here: Path, text: str) -> dict[str, str]:
    path = here / ".env"
    path.write_text(text, "utf-8")
    return dotenv(path)


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("A=b", "b"),
        ("export A=b", "b"),
        ("A = b", "b"),
        ("A=", ""),
        ("A='as $it # is'", "as $it # is"),
        ('A="two\\nlines # \\"quoted\\""', 'two\nlines # "quoted"'),
        ("A=b # a remark", "b"),
        ("A='b' # a remark", "b"),
        ("A= # a remark", ""),
        ("A=b#c", "b#c"),
        ("A=postgresql://shop:p=w@db/shop?a=b", "postgresql://shop:p=w@db/shop?a=b"),
        ("A=two words", "two words"),
        ("A=$HOME", "$HOME"),
        ("A=it's", "it's"),
    ],
)
def test_a_line_is_a_variable(here: Path, line: str, value: str):
    assert read(here, line) == {"A": value}


def test_remarks_and_empty_lines_are_nothing(here: Path):
    assert read(here, "# of the shop\n\n  # more\nA=1\n\nB=2\nA=3\n") == {"A": "3", "B": "2"}


@given(st.text(st.characters(exclude_categories=["C", "Z"], exclude_characters="'")))
def test_what_stands_between_single_quotes_is_as_it_is(tmp_path_factory, text: str):
    assert read(tmp_path_factory.mktemp("env"), f"A='{text}'") == {"A": text}


def test_each_line_that_is_none_is_named_and_none_is_shown(here: Path):
    with pytest.raises(ConfigError) as refused:
        read(here, "A=1\nsk_live_1\n1B=2\nC='open\n")
    assert ".env:2: expected NAME=value" in str(refused.value)
    assert ".env:3: expected NAME=value" in str(refused.value)
    assert ".env:4: expected NAME=value" in str(refused.value)
    assert "sk_live_1" not in str(refused.value)


def test_one_that_is_not_there_is_named(here: Path):
    with pytest.raises(
        ConfigError, match=r"missing.env, which env_file \(ISTHMUS_ENV_FILE\) names: No such file"
    ):
        dotenv(here / "missing.env")
