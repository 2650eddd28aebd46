"""`:name` becomes `$1`, and nothing else of a statement is touched."""

import pytest

from isthmus.engines.postgres.database.parameters import compiled
from isthmus.errors import StatementError


@pytest.mark.parametrize(
    ("sql", "text", "names"),
    [
        ("select :a, :b", "select $1, $2", ("a", "b")),
        ("select :a, :b, :a", "select $1, $2, $1", ("a", "b")),
        ("select :größe", "select $1", ("größe",)),
        ("select :a::text", "select $1::text", ("a",)),
        ("select x::jsonb -> 'a:b'", "select x::jsonb -> 'a:b'", ()),
        ("select ':a', 'it''s :a', E'it\\'s :a'", "select ':a', 'it''s :a', E'it\\'s :a'", ()),
        ('select ":a", "a "":b"""', 'select ":a", "a "":b"""', ()),
        ("select $$ :a $$, $x$ :a $$ $x$", "select $$ :a $$, $x$ :a $$ $x$", ()),
        ("select a[1:2]", "select a[1:2]", ()),
        ("select a[:low : :high]", "select a[$1 : $2]", ("low", "high")),
        ("select 1 -- :a\n, :b", "select 1  \n, $1", ("b",)),
        ("select /* :a /* :b */ :c */ :d", "select   $1", ("d",)),
        ("call f(x := :a)", "call f(x := $1)", ("a",)),
        ("select name$1, :a", "select name$1, $1", ("a",)),
        ("select 1 where a=:a;", "select 1 where a=$1", ("a",)),
        ("select 1; -- the end :a", "select 1", ()),
        ("", "", ()),
    ],
)
def test_only_parameters_are_numbered(sql: str, text: str, names: tuple[str, ...]) -> None:
    found = compiled(sql)
    assert " ".join(found.text.split()) == " ".join(text.split())
    assert found.names == names


@pytest.mark.parametrize(
    ("sql", "counting"),
    [
        ("insert into t values (1)", "insert into t values (1) RETURNING 1"),
        ("delete from t -- all", "delete from t RETURNING 1"),
        ("update t set a = 1 returning a;", "update t set a = 1 returning a"),
        ("with x as (select 1) update t set a = 1", "with x as (select 1) update t set a = 1 "),
        ("merge into t using s on true when matched then delete", ""),
        ("select 'update'", ""),
        ("create table t (a int)", ""),
    ],
)
def test_what_changes_rows_is_made_to_count_them(sql: str, counting: str) -> None:
    found = compiled(sql).counting
    assert found.startswith(counting)
    assert bool(found) == bool(counting)


@pytest.mark.parametrize(
    ("sql", "match"),
    [
        ("select 1; select 2", "one statement"),
        ("insert into t values (1); commit", "one statement"),
        ("commit", "COMMIT"),
        ("/* now */ Rollback", "ROLLBACK"),
        ("savepoint a", "SAVEPOINT"),
        ("start transaction", "START"),
        ("copy t from stdin", "COPY"),
        ("select /* :a", "no end"),
    ],
)
def test_what_would_leave_the_transaction_is_refused(sql: str, match: str) -> None:
    with pytest.raises(StatementError, match=match):
        compiled(sql)


def test_a_parameter_that_is_missing_is_named() -> None:
    with pytest.raises(StatementError, match=":b was not given"):
        compiled("select :a, :b").values({"a": 1})
