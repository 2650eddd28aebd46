import sqlite3

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus.errors import ConfigError
from isthmus.handling.statements import statements

TRIGGER = """create trigger t after insert on a begin
  update b set x = case when new.y > 1 then ';' else 2 end;
  delete from c;
end"""

PIECES = [
    ";", ";", " ", "\n", "create", "temp", "temporary", "trigger", "explain", "begin", "end",
    "insert", "a", "1", "'", "''", "';'", '"', '";"', "`", "[", "]", "[;]", "--", "/*", "*/", "-",
    "/", "*", "query", "plan", "é", "$x", "(", ")", "=", "END", "Trigger", "\t", "x_end",
]  # fmt: skip


def texts(sql: str) -> list[str]:
    return [statement.text for statement in statements(sql)]


def test_statements_are_parted_by_semicolons() -> None:
    assert texts("create table a (x); insert into a values (1) ;") == [
        "create table a (x)",
        "insert into a values (1)",
    ]


def test_the_last_semicolon_may_be_missing() -> None:
    assert texts("select 1; select 2 -- done\n") == ["select 1", "select 2"]


def test_nothing_but_comments_is_nothing() -> None:
    assert texts("-- a;\n/* b; */ ; ;\n") == []


@pytest.mark.parametrize(
    "quoted",
    ["'a;b'", "'it''s;'", '"a;b"', "[a;b]", "`a;b`", "1 /* ; */", "$$;$$", "$x$;$$;$x$"],
)
def test_a_quoted_semicolon_ends_nothing(quoted: str) -> None:
    assert texts(f"select {quoted}; select 2") == [f"select {quoted}", "select 2"]


@pytest.mark.parametrize("create", ["create", "CREATE TEMP", "create\ntemporary /* ; */"])
def test_a_trigger_is_one_statement(create: str) -> None:
    trigger = TRIGGER.replace("create", create, 1)
    assert texts(f"{trigger};\nselect 1;") == [trigger, "select 1"]


def test_a_table_called_trigger_is_no_trigger() -> None:
    assert texts("create table trigger_end (x); select 1") == [
        "create table trigger_end (x)",
        "select 1",
    ]


def test_a_statement_knows_its_line() -> None:
    assert [each.line for each in statements("-- one\nselect 1;\n\nselect\n2;")] == [2, 4]


@pytest.mark.parametrize("opening", ["'", '"', "`", "[", "/*"])
def test_what_has_no_end_is_refused_with_its_line(opening: str) -> None:
    with pytest.raises(ConfigError, match="line 2"):
        texts(f"select 1;\nselect {opening} a;")


@given(st.lists(st.sampled_from(PIECES), max_size=24).map("".join))
def test_a_statement_ends_where_sqlite_says_it_ends(sql: str) -> None:
    if not texts_or_none(f"{sql}\n;"):
        return
    found = texts(f"{sql}\n")
    complete = sqlite3.complete_statement(f"{sql}\n")
    again = texts(f"{sql}\n select 1")
    assert complete == (again == [*found, "select 1"])


@given(st.lists(st.sampled_from(PIECES), max_size=24).map("".join))
def test_every_statement_is_complete_and_none_holds_another(sql: str) -> None:
    for statement in (texts_or_none(sql) or [])[:-1]:
        assert sqlite3.complete_statement(f"{statement}\n;")
        assert not sqlite3.complete_statement(f"{statement}\n")


def texts_or_none(sql: str) -> list[str] | None:
    try:
        return texts(sql)
    except ConfigError:
        return None
