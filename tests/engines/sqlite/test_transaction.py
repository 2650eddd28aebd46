"""A transaction is a script: nobody waits for its holder, and all of it happens once."""

import asyncio
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from isthmus.engines.sqlite.database.database import Connection, Database
from isthmus.errors import ConfigError, ConflictError, LeaseLostError, StatementError

Rows = Callable[[str], list[Any]]
INSERT = "insert into paid values (:id, :total)"


async def test_statements_and_staged_work_commit_together(database: Database, rows: Rows) -> None:
    async with database.begin() as tx:
        assert await tx.execute(INSERT, id=1, total=5) == 1
        await database.write(lambda at: at.execute("INSERT INTO stock VALUES ('a', 1)"), tx=tx)
        assert rows("SELECT * FROM paid") == []
    assert rows("SELECT * FROM paid, stock") == [(1, 5, "a", 1)]


async def test_an_error_rolls_all_back(database: Database, rows: Rows) -> None:
    with pytest.raises(KeyError):
        async with database.begin() as tx:
            await tx.execute(INSERT, id=1, total=5)
            await database.write(lambda at: at.execute("INSERT INTO stock VALUES ('a', 1)"), tx=tx)
            raise KeyError
    assert rows("SELECT (SELECT count(*) FROM paid) + (SELECT count(*) FROM stock)") == [(0,)]


async def test_each_statement_sees_the_earlier_ones(database: Database) -> None:
    async with database.begin() as tx:
        await tx.execute(INSERT, id=1, total=5)
        await tx.execute("update paid set total = total + 1")
        assert await tx.fetch("select * from paid") == [(1, 6)]


async def test_parameters_by_place_are_refused_with_the_way_out(database: Database) -> None:
    async with database.begin() as tx:
        asked: Any = tx
        for run in (asked.execute, asked.fetch):
            with pytest.raises(ConfigError, match="parameters are :name, given as keywords"):
                await run("select ?", 1)


async def test_rows_are_named_tuples(database: Database) -> None:
    async with database.begin() as tx:
        (row,) = await tx.fetch("select 1 as id, 'a' as sku, count(*) from paid")
    assert (row.id, row.sku, row._2) == (1, "a", 0)


async def test_execute_many_counts_its_rows(database: Database) -> None:
    async with database.begin() as tx:
        assert await tx.execute_many(INSERT, [{"id": n, "total": n} for n in range(5)]) == 5
        assert await tx.execute_many(INSERT, []) == 0
        assert await tx.execute("update paid set total = 0 where id > :id", id=2) == 2


async def test_tables_can_be_made_inside(database: Database, rows: Rows) -> None:
    async with database.begin() as tx:
        assert await tx.execute("create table mail (id integer primary key)") == -1
        await tx.execute("insert into mail values (1)")
    assert rows("SELECT id FROM mail") == [(1,)]


async def test_tables_made_inside_go_with_a_rollback(database: Database, rows: Rows) -> None:
    tx = database.begin()
    await tx.execute("create table mail (id integer primary key)")
    await tx.rollback()
    with pytest.raises(sqlite3.OperationalError, match="no such table"):
        rows("SELECT id FROM mail")


async def test_nobody_waits_for_an_open_transaction(database: Database, rows: Rows) -> None:
    async with database.begin() as first:
        await first.execute(INSERT, id=1, total=1)
        async with database.begin() as second:
            await second.execute(INSERT, id=2, total=2)
        assert rows("SELECT id FROM paid") == [(2,)]
    assert rows("SELECT id FROM paid") == [(1,), (2,)]


async def test_what_was_read_and_has_changed_is_a_conflict(database: Database, rows: Rows) -> None:
    await database.write(lambda at: at.execute("INSERT INTO stock VALUES ('a', 5)"))
    tx = database.begin()
    ((left,),) = await tx.fetch("select left from stock")
    await tx.execute("update stock set left = :left", left=left - 1)
    await database.write(lambda at: at.execute("UPDATE stock SET left = 3"))
    with pytest.raises(ConflictError) as caught:
        await tx.commit()
    assert caught.value.subject == "read"
    assert rows("SELECT left FROM stock") == [(3,)]


async def test_a_later_statement_finds_the_conflict_already(database: Database) -> None:
    await database.write(lambda at: at.execute("INSERT INTO stock VALUES ('a', 5)"))
    tx = database.begin()
    await tx.fetch("select left from stock")
    await database.write(lambda at: at.execute("UPDATE stock SET left = 3"))
    with pytest.raises(ConflictError):
        await tx.fetch("select * from paid")
    await tx.rollback()


async def test_what_only_read_never_conflicts(database: Database) -> None:
    async with database.begin() as tx:
        await tx.fetch("select * from paid")
        await database.write(lambda at: at.execute("INSERT INTO paid VALUES (1, 1)"))


async def test_a_change_elsewhere_is_no_conflict(database: Database, rows: Rows) -> None:
    async with database.begin() as tx:
        await tx.fetch("select * from stock")
        await tx.execute(INSERT, id=1, total=1)
        await database.write(lambda at: at.execute("INSERT INTO paid VALUES (2, 2)"))
    assert rows("SELECT count(*) FROM paid") == [(2,)]


async def test_of_many_who_buy_the_last_ones_none_is_sold_twice(
    database: Database, rows: Rows
) -> None:
    await database.write(lambda at: at.execute("INSERT INTO stock VALUES ('a', 10)"))

    async def buy(id_: int) -> bool:
        for attempt in range(1, 100):
            try:
                async with database.begin(attempt=attempt) as tx:
                    ((left,),) = await tx.fetch("select left from stock where sku = 'a'")
                    if not left:
                        return False
                    await tx.execute("update stock set left = :left", left=left - 1)
                    await tx.execute(INSERT, id=id_, total=1)
            except ConflictError:
                continue
            return True
        pytest.fail("99 conflicts in a row")

    bought = await asyncio.gather(*(buy(id_) for id_ in range(20)))
    assert sum(bought) == 10
    assert rows("SELECT left, (SELECT count(*) FROM paid) FROM stock") == [(0, 10)]


async def test_an_unlucky_transaction_is_favoured(database: Database, rows: Rows) -> None:
    """From its third attempt on it holds the writer while it comes back at once."""
    await database.write(lambda at: at.execute("INSERT INTO stock VALUES ('a', 5)"))
    async with database.begin(attempt=3) as tx:
        ((left,),) = await tx.fetch("select left from stock")
        other = asyncio.ensure_future(
            database.write(lambda at: at.execute("UPDATE stock SET left = left + 100"))
        )
        await tx.execute("update stock set left = :left", left=left - 1)
        assert not other.done()
    await other
    assert rows("SELECT left FROM stock") == [(104,)]


async def test_a_favoured_one_that_stays_away_lets_go(database: Database) -> None:
    await database.write(lambda at: at.execute("INSERT INTO stock VALUES ('a', 5)"))
    tx = database.begin(attempt=3)
    await tx.fetch("select left from stock")
    await database.write(lambda at: at.execute("UPDATE stock SET left = 7"))
    with pytest.raises(ConflictError):
        await tx.execute("update stock set left = 0")
    await tx.rollback()


async def test_a_favoured_one_that_rolls_back_lets_go_at_once(database: Database) -> None:
    tx = database.begin(attempt=3)
    await tx.execute(INSERT, id=1, total=1)
    other = asyncio.ensure_future(database.write(add(9)))
    await tx.rollback()
    await other
    assert await database.read(lambda at: at.execute("SELECT id FROM paid").fetchall()) == [(9,)]


async def test_a_favoured_one_fails_like_any_other(database: Database, rows: Rows) -> None:
    def lose(_: Connection) -> None:
        raise LeaseLostError(["r1"])

    tx = database.begin(attempt=3)
    await tx.execute(INSERT, id=1, total=1)
    await database.write(lose, tx=tx)
    with pytest.raises(LeaseLostError):
        await tx.commit()
    assert rows("SELECT * FROM paid") == []


# --- statements


@pytest.mark.parametrize(
    ("sql", "why"),
    [
        ("insert into paid values (1, 2)", "UNIQUE"),
        ("insert into paid values (2, null)", "NOT NULL"),
        ("insrt into paid", "syntax"),
        ("select * from nowhere", "no such table"),
        ("select :missing", "binding"),
        ("select 1; select 2", "one statement"),
    ],
)
async def test_a_refused_statement_says_which_and_why(
    database: Database, rows: Rows, sql: str, why: str
) -> None:
    async with database.begin() as tx:
        await tx.execute(INSERT, id=1, total=1)
        with pytest.raises(StatementError, match=why) as caught:
            await tx.execute(sql)
        assert sql.split(maxsplit=1)[0] in str(caught.value)
        assert caught.value.__cause__ is not None
        await tx.execute("update paid set total = 9")
    assert rows("SELECT * FROM paid") == [(1, 9)]


async def test_a_value_sqlite_cannot_hold_is_refused(database: Database) -> None:
    async with database.begin() as tx:
        with pytest.raises(StatementError):
            await tx.execute(INSERT, id=1, total=2**70)
        with pytest.raises(StatementError):
            await tx.execute(INSERT, id=1, total=object())


@pytest.mark.parametrize(
    "sql",
    [
        "BEGIN",
        "commit",
        "  END",
        "/* hidden */ rollback",
        "-- hidden\nsavepoint a",
        "release a",
        "pragma journal_mode = delete",
        "attach 'other.db' as other",
        "detach other",
        "vacuum",
    ],
)
async def test_what_would_end_or_leave_the_transaction_is_refused(
    database: Database, rows: Rows, sql: str
) -> None:
    async with database.begin() as tx:
        await tx.execute(INSERT, id=1, total=1)
        with pytest.raises(StatementError, match="cannot run"):
            await tx.execute(sql)
        with pytest.raises(StatementError, match="cannot run"):
            await tx.fetch(sql)
    assert rows("SELECT id FROM paid") == [(1,)]


async def test_a_statement_that_rolls_all_back_harms_nobody_else(
    database: Database, rows: Rows
) -> None:
    tx = database.begin()
    with pytest.raises(StatementError, match="rolled"):
        await tx.execute("insert or rollback into paid values (1, null)")
    await tx.rollback()
    twice = "insert or rollback into paid values (1, 1)"
    await database.write(lambda at: at.execute("INSERT INTO paid VALUES (1, 1)"))
    others = [asyncio.ensure_future(database.write(add(id_))) for id_ in (2, 3)]
    tx = database.begin()
    with pytest.raises(StatementError, match="rolled"):
        await tx.execute(twice)
    await asyncio.gather(*others)
    assert rows("SELECT id FROM paid") == [(1,), (2,), (3,)]


def add(id_: int) -> Callable[[Connection], None]:
    def work(at: Connection) -> None:
        at.execute("INSERT INTO paid VALUES (?, 1)", (id_,))

    return work


# --- many at once


def put(at: Connection, ids: list[int]) -> list[None]:
    at.executemany("INSERT INTO paid VALUES (?, 0)", [(id_,) for id_ in ids])
    return [None for _ in ids]


async def test_of_many_that_stage_the_same_one_wins_and_the_rest_lose_all(
    database: Database, rows: Rows
) -> None:
    async def one(id_: int) -> None:
        async with database.begin() as tx:
            await tx.execute("insert into stock values (:sku, 1)", sku=str(id_))
            await database.merge(put, id_ % 5, tx=tx)

    results = await asyncio.gather(*(one(id_) for id_ in range(20)), return_exceptions=True)
    assert sum(result is None for result in results) == 5
    assert rows("SELECT count(*) FROM paid") == [(5,)]
    kept = {int(sku) for (sku,) in rows("SELECT sku FROM stock")}
    assert kept == {id_ for id_, result in enumerate(results) if result is None}


async def test_staged_items_of_many_are_one_call(database: Database) -> None:
    calls: list[int] = []

    def counted(at: Connection, ids: list[int]) -> list[None]:
        calls.append(len(ids))
        return put(at, ids)

    begun = [database.begin() for _ in range(10)]
    for id_, tx in enumerate(begun):
        await database.merge(counted, id_, tx=tx)
    await asyncio.gather(*(tx.commit() for tx in begun))
    assert calls == [10]


# --- its end


async def test_it_ends_once(database: Database) -> None:
    tx = database.begin()
    await tx.execute(INSERT, id=1, total=1)
    await tx.commit()
    for late in (tx.commit, lambda: tx.execute(INSERT, id=2, total=2)):
        with pytest.raises(ConfigError, match="outlived"):
            await late()
    with pytest.raises(ConfigError, match="outlived"):
        database.write(add(3), tx=tx)


async def test_another_database_s_transaction_is_refused(
    database: Database, tmp_path: Path
) -> None:
    class Foreign:
        scope = "sqlite:////elsewhere.db"

    with pytest.raises(ConfigError, match="elsewhere"):
        database.write(add(1), tx=Foreign())  # type: ignore[arg-type]


async def test_statements_asked_at_once_are_answered_in_turn(database: Database) -> None:
    async with database.begin() as tx:
        counts = await asyncio.gather(
            tx.execute(INSERT, id=1, total=1),
            tx.fetch("select count(*) as n from paid"),
            tx.execute(INSERT, id=2, total=1),
            tx.fetch("select count(*) as n from paid"),
        )
    assert counts == [1, [(1,)], 1, [(2,)]]


@pytest.mark.parametrize("attempt", [1, 3])
async def test_a_cancelled_statement_is_no_part_of_it(
    database: Database, rows: Rows, attempt: int
) -> None:
    started, gate = threading.Event(), threading.Event()

    def slow(at: Connection) -> None:
        started.set()
        gate.wait(10)
        add(1)(at)

    tx = database.begin(attempt=attempt)
    await tx.execute("delete from paid")
    asked = asyncio.ensure_future(database.read(slow, tx=tx))
    await asyncio.to_thread(started.wait)
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    gate.set()
    await tx.execute(INSERT, id=2, total=2)
    await tx.commit()
    assert rows("SELECT id FROM paid") == [(2,)]


async def test_a_slow_read_holds_up_no_other_transaction(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("isthmus.engines.sqlite.database.reader._LONG", 0.0)
    started, gate = threading.Event(), threading.Event()

    def slow(_: Connection) -> None:
        started.set()
        gate.wait(10)

    slow_tx, quick_tx = database.begin(), database.begin()
    reading = asyncio.ensure_future(database.read(slow, tx=slow_tx))
    await asyncio.to_thread(started.wait)
    assert await quick_tx.fetch("select 1") == [(1,)]
    assert await database.read(lambda at: at.execute("SELECT 2").fetchall()) == [(2,)]
    await database.write(add(1))
    gate.set()
    await reading


async def test_what_conflicts_does_nothing_of_what_it_staged(
    database: Database, rows: Rows
) -> None:
    await database.write(lambda at: at.execute("INSERT INTO stock VALUES ('a', 5)"))
    first, second = database.begin(), database.begin()
    for id_, tx in enumerate((first, second)):
        ((left,),) = await tx.fetch("select left from stock")
        await tx.execute("update stock set left = :left", left=left - 1)
        await database.merge(put, id_, tx=tx)
    results = await asyncio.gather(first.commit(), second.commit(), return_exceptions=True)
    assert [type(result) for result in results] == [type(None), ConflictError]
    assert rows("SELECT id FROM paid") == [(0,)]


async def test_what_is_staged_is_done_in_its_order(database: Database) -> None:
    done: list[str] = []

    def letters(_: Connection, items: list[str]) -> list[None]:
        done.extend(items)
        return [None for _ in items]

    def digits(_: Connection, items: list[str]) -> list[None]:
        done.extend(items)
        return [None for _ in items]

    begun = [database.begin() for _ in range(3)]
    for number, tx in enumerate(begun):
        for work, item in ((letters, "a"), (digits, "1"), (letters, "b"), (digits, "2")):
            await database.merge(work, f"{number}{item}", tx=tx)
    await asyncio.gather(*(tx.commit() for tx in begun))
    for number in range(3):
        own = [item[1:] for item in done if item.startswith(str(number))]
        assert own == ["a", "1", "b", "2"]
    assert len(done) == 12


async def test_a_refused_batch_undoes_all_of_itself(database: Database, rows: Rows) -> None:
    async with database.begin() as tx:
        with pytest.raises(StatementError, match="UNIQUE"):
            await tx.execute_many(INSERT, [{"id": id_, "total": 1} for id_ in (1, 2, 1)])
        await tx.execute(INSERT, id=3, total=1)
    assert rows("SELECT id FROM paid") == [(3,)]


async def test_foreign_keys_are_kept(database: Database) -> None:
    async with database.begin() as tx:
        await tx.execute("create table refund (id integer references paid (id))")
        with pytest.raises(StatementError, match="FOREIGN KEY"):
            await tx.execute("insert into refund values (7)")
