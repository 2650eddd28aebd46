"""The user's own SQL in a transaction, and what it ties together."""

# ruff: noqa: PT012  # what raises is the end of a block, not one call

import asyncio
from typing import Any

import pytest

from isthmus.errors import ConfigError, ConflictError, StatementError, UnsupportedError
from isthmus.testing.conformance.desk import Desk, DeskTests
from isthmus.testing.conformance.orders import bodies
from isthmus.testing.conformance.wiring import PROMPT

__all__ = ["SqlTests"]


async def table(desk: Desk) -> str:
    """Create a table of this test's own, with an `id` and a `total`."""
    if not desk.shelf.able.sql:
        pytest.skip("capability: sql")
    name = f"accepted_{desk.name}"
    async with desk.begin() as tx:
        await tx.execute(f"create table {name} (id integer primary key, total integer not null)")
    return name


async def rows(desk: Desk, name: str) -> list[Any]:
    async with desk.begin() as tx:
        return list(await tx.fetch(f"select id, total from {name} order by id"))


class SqlTests(DeskTests):
    async def test_sql_is_refused_where_there_is_none(self, desk: Desk) -> None:
        if desk.shelf.able.sql:
            pytest.skip("SQL is run")
        async with desk.begin() as tx:
            with pytest.raises(UnsupportedError, match="://"):
                await tx.execute("select 1")
            with pytest.raises(UnsupportedError, match="://"):
                await tx.execute_many("select :a", [{"a": 1}])
            with pytest.raises(UnsupportedError, match="://"):
                await tx.fetch("select 1")
            with pytest.raises(UnsupportedError, match="://"):
                await tx.defer("select 1")

    async def test_rows_are_there_after_the_commit(self, desk: Desk) -> None:
        name = await table(desk)
        async with desk.begin() as tx:
            changed = await tx.execute(
                f"insert into {name} (id, total) values (:id, :total)", id=1, total=5
            )
            assert changed == 1
        assert await rows(desk, name) == [(1, 5)]

    async def test_rows_rolled_back_never_were(self, desk: Desk) -> None:
        name = await table(desk)
        tx = desk.begin()
        await tx.execute(f"insert into {name} (id, total) values (1, 5)")
        await tx.rollback()
        assert await rows(desk, name) == []

    async def test_a_transaction_sees_its_own_rows_and_nobody_else_does(self, desk: Desk) -> None:
        name = await table(desk)
        async with desk.begin() as tx:
            await tx.execute(f"insert into {name} (id, total) values (1, 5)")
            assert await tx.fetch(f"select total from {name}") == [(5,)]
            assert await rows(desk, name) == []

    async def test_a_deferred_statement_runs_with_the_commit(self, desk: Desk) -> None:
        name = await table(desk)
        async with desk.begin() as tx:
            for id_ in (1, 2):
                await tx.defer(
                    f"insert into {name} (id, total) values (:id, :total)", id=id_, total=5
                )
            assert await rows(desk, name) == []
        assert await rows(desk, name) == [(1, 5), (2, 5)]

    async def test_a_deferred_statement_is_seen_by_whatever_is_answered(self, desk: Desk) -> None:
        name = await table(desk)
        async with desk.begin() as tx:
            await tx.defer(f"insert into {name} (id, total) values (1, 5)")
            assert await tx.execute(f"update {name} set total = 6") == 1
            await tx.defer(f"update {name} set total = total + 1")
            assert await tx.fetch(f"select total from {name}") == [(7,)]
        assert await rows(desk, name) == [(1, 7)]

    async def test_a_deferred_statement_goes_with_a_rollback(self, desk: Desk) -> None:
        name = await table(desk)
        tx = desk.begin()
        await tx.defer(f"insert into {name} (id, total) values (1, 5)")
        await tx.rollback()
        assert await rows(desk, name) == []

    async def test_a_deferred_statement_that_is_refused_undoes_all(self, desk: Desk) -> None:
        name = await table(desk)
        insert = f"insert into {name} (id, total) values (:id, 5)"
        tx, beside = desk.begin(), desk.begin()
        await beside.defer(insert, id=3)
        await tx.execute(insert, id=1)
        await tx.defer(insert, id=1)
        with pytest.raises(StatementError, match="insert into"):
            await tx.execute(insert, id=2)
        ended = await asyncio.gather(tx.commit(), beside.commit(), return_exceptions=True)
        assert [type(error) for error in ended] == [StatementError, type(None)]
        assert await rows(desk, name) == [(3, 5)]

    async def test_rows_have_names(self, desk: Desk) -> None:
        name = await table(desk)
        async with desk.begin() as tx:
            await tx.execute(f"insert into {name} (id, total) values (1, 5)")
            (row,) = await tx.fetch(f"select id, total, total * 2 as twice from {name}")
        assert (row.id, row.total, row.twice) == (1, 5, 10)

    async def test_execute_tells_how_many_rows_it_changed(self, desk: Desk) -> None:
        name = await table(desk)
        async with desk.begin() as tx:
            insert = f"insert into {name} (id, total) values (:id, :total)"
            assert await tx.execute_many(insert, [{"id": n, "total": n} for n in range(5)]) == 5
            assert await tx.execute(f"update {name} set total = 0 where id < :n", n=3) == 3
            assert await tx.execute(f"delete from {name} where id = :n", n=99) == 0
            assert await tx.execute_many(insert, []) == 0
            assert await tx.execute(f"create table other_{desk.name} (id integer)") == -1
        assert await rows(desk, name) == [(0, 0), (1, 0), (2, 0), (3, 3), (4, 4)]

    async def test_values_are_bound_and_never_read_as_sql(self, desk: Desk) -> None:
        await table(desk)
        async with desk.begin() as tx:
            await tx.execute(f"create table notes_{desk.name} (id integer, note text)")
            note = "'); drop table notes; -- :id ☂"
            await tx.execute(f"insert into notes_{desk.name} values (:id, :note)", id=1, note=note)
            (row,) = await tx.fetch(f"select note from notes_{desk.name} where id = :id", id=1)
        assert row.note == note

    @pytest.mark.parametrize(
        "wrong",
        [
            "insert into {name} (id, total) values (1, 6)",
            "insert into {name} (id, total) values (2, null)",
            "insert into {name} nonsense",
            "select * from no_such_table",
            "select :missing",
        ],
    )
    async def test_a_refused_statement_undoes_only_itself(self, desk: Desk, wrong: str) -> None:
        name = await table(desk)
        async with desk.begin() as tx:
            await tx.execute(f"insert into {name} (id, total) values (1, 5)")
            with pytest.raises(StatementError) as caught:
                await tx.execute(wrong.format(name=name))
            assert caught.value.__cause__ is not None
            with pytest.raises(StatementError):
                await tx.fetch(wrong.format(name=name))
            await tx.execute(f"insert into {name} (id, total) values (3, 7)")
        assert await rows(desk, name) == [(1, 5), (3, 7)]

    async def test_a_refused_batch_undoes_all_of_itself(self, desk: Desk) -> None:
        name = await table(desk)
        insert = f"insert into {name} (id, total) values (:id, 1)"
        async with desk.begin() as tx:
            with pytest.raises(StatementError):
                await tx.execute_many(insert, [{"id": 1}, {"id": 2}, {"id": 1}])
            await tx.execute(insert, id=3)
        assert await rows(desk, name) == [(3, 1)]

    async def test_rows_and_messages_commit_together(self, desk: Desk) -> None:
        name = await table(desk)
        async with desk.begin() as tx:
            await tx.execute(f"insert into {name} (id, total) values (1, 5)")
            await desk.orders.send("a", tx=tx)
            await tx.execute(f"update {name} set total = total + 1")
        assert await rows(desk, name) == [(1, 6)]
        assert bodies(await (await desk.orders.taker()).take_all()) == ["a"]

    async def test_a_conflict_undoes_rows_too(self, desk: Desk) -> None:
        name = await table(desk)
        await desk.shelf.put("taken", "1")
        with pytest.raises(ConflictError):
            async with desk.begin() as tx:
                await tx.execute(f"insert into {name} (id, total) values (1, 5)")
                await desk.shelf.put("taken", "2", if_version=0, tx=tx)
        assert await rows(desk, name) == []

    async def test_a_statement_whose_answer_changed_is_a_conflict(self, desk: Desk) -> None:
        if desk.shelf.able.isolation != "serializable":
            pytest.skip(f"isolation: {desk.shelf.able.isolation}")
        name = await table(desk)
        with pytest.raises(ConflictError):
            async with desk.begin() as tx:
                await tx.fetch(f"select count(*) from {name}")
                async with desk.begin() as other:
                    await other.fetch(f"select count(*) from {name}")
                    await other.execute(f"insert into {name} (id, total) values (1, 5)")
                await desk.shelf.put("put", "1", tx=tx)
                await tx.execute(f"insert into {name} (id, total) values (2, 5)")
        assert await rows(desk, name) == [(1, 5)]
        assert await desk.shelf.values("put") == {}

    async def test_of_many_who_count_rows_none_is_lost(self, desk: Desk) -> None:
        if desk.shelf.able.isolation == "read committed":
            pytest.skip("isolation: read committed")
        name = await table(desk)
        async with desk.begin() as tx:
            await tx.execute(f"insert into {name} (id, total) values (1, 0)")

        async def count() -> None:
            for attempt in range(1, 100):
                try:
                    async with desk.shelf.store.begin(attempt=attempt) as tx:
                        (row,) = await tx.fetch(f"select total from {name}")
                        await asyncio.sleep(0)
                        await tx.execute(f"update {name} set total = :total", total=row.total + 1)
                except ConflictError:
                    continue
                return
            pytest.fail("99 conflicts in a row")

        await asyncio.gather(*(count() for _ in range(10)))
        assert await rows(desk, name) == [(1, 10)]

    async def test_an_open_transaction_with_rows_makes_nobody_wait(self, desk: Desk) -> None:
        name = await table(desk)
        async with asyncio.timeout(PROMPT), desk.begin() as tx:
            await tx.execute(f"insert into {name} (id, total) values (1, 5)")
            await desk.shelf.put("a", "1")
            await desk.orders.send("a")
            async with desk.begin() as other:
                await other.execute(f"insert into {name} (id, total) values (2, 5)")
        assert await rows(desk, name) == [(1, 5), (2, 5)]

    async def test_after_its_end_no_sql_runs(self, desk: Desk) -> None:
        name = await table(desk)
        tx = desk.begin()
        await tx.execute(f"insert into {name} (id, total) values (1, 5)")
        await tx.commit()
        with pytest.raises(ConfigError, match="ended"):
            await tx.execute(f"insert into {name} (id, total) values (2, 5)")
        with pytest.raises(ConfigError, match="ended"):
            await tx.fetch(f"select * from {name}")
        assert await rows(desk, name) == [(1, 5)]
