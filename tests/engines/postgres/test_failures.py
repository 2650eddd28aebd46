"""What the server refuses is said clearly, nobody hangs, and nothing acknowledged is lost."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import pytest_asyncio

from isthmus.clock import SystemClock
from isthmus.connect import connect
from isthmus.contracts import Ack, Put, Transaction
from isthmus.engines.postgres import PostgresEngine
from isthmus.engines.postgres.database.held import TransactionHeld
from isthmus.errors import ConfigError, ConflictError, StatementError, UnavailableError
from isthmus.message import Message

Rows = Callable[..., Awaitable[list[Any]]]

KILL = """
SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()
"""


@pytest_asyncio.fixture
async def engine(url: str) -> AsyncIterator[PostgresEngine]:
    """On the machine's clock."""
    engine = await connect(url)
    assert isinstance(engine, PostgresEngine)
    await engine.queue.declare("orders", "billing")
    await engine.log.declare("ledger")
    yield engine
    await engine.aclose()


async def at_last(call: Callable[[], Awaitable[Any]]) -> Any:
    """What the call returns once the database is within reach."""
    async with asyncio.timeout(30):
        while True:
            try:
                return await call()
            except UnavailableError:
                await SystemClock().sleep(0.02)


# --- connections that are cut


async def test_cut_connections_are_made_again(engine: PostgresEngine, rows: Rows) -> None:
    await engine.store.put("inbox", [Put("a", b"1")])
    await rows(KILL)
    assert list(await at_last(lambda: engine.store.get("inbox", ["a"]))) == ["a"]
    await at_last(lambda: engine.queue.send("orders", [Message()]))
    await at_last(lambda: engine.log.append("ledger", [Message()]))


async def test_who_waits_is_woken_though_its_connection_was_cut(
    engine: PostgresEngine, url: str, rows: Rows
) -> None:
    other = await connect(url)
    assert other.queue is not None
    receiver = await engine.queue.receiver("orders", "billing", limit=1, lease=10)
    waiting = asyncio.create_task(receiver.receive(1, wait=30))
    while await rows("SELECT 1 FROM isthmus.idle") != [(1,)]:
        pass
    before = await rows("SELECT pid FROM isthmus.idle")
    await rows("SELECT pg_terminate_backend(pid) FROM isthmus.idle")
    while await rows("SELECT pid FROM isthmus.idle") in (before, []):
        await SystemClock().sleep(0.01)
    await other.queue.send("orders", [Message(body=b"a")])
    assert [each.message.body for each in await waiting] == [b"a"]
    await other.aclose()


async def test_a_transaction_that_is_cut_keeps_nothing(engine: PostgresEngine, rows: Rows) -> None:
    await rows("CREATE TABLE paid (id int PRIMARY KEY)")
    tx = engine.store.begin()
    await tx.execute("INSERT INTO paid VALUES (1)")
    await engine.queue.send("orders", [Message()], tx=tx)
    await rows(KILL)
    with pytest.raises(UnavailableError):
        await tx.execute("INSERT INTO paid VALUES (2)")
    with pytest.raises(UnavailableError):
        await tx.commit()
    assert await rows("SELECT id FROM paid") == []
    assert await rows("SELECT id FROM isthmus.slot") == []
    async with engine.store.begin() as again:
        await at_last(lambda: again.fetch("SELECT 1"))


# --- a server that goes away and comes back


async def test_what_was_acknowledged_is_there_after_a_crash(
    engine: PostgresEngine, server: Any, rows: Rows
) -> None:
    sent = [Message() for _ in range(200)]
    sending = asyncio.gather(
        *(engine.queue.send("orders", [message]) for message in sent), return_exceptions=True
    )
    await engine.log.append("ledger", [Message(id="before")])
    server.stop()
    outcomes = await sending
    with pytest.raises(UnavailableError):
        await engine.queue.send("orders", [Message()])
    server.launch()
    await server.answers()
    kept = {id_ for (id_,) in await at_last(lambda: rows("SELECT id FROM isthmus.slot"))}
    acknowledged = {
        message.id for message, error in zip(sent, outcomes, strict=True) if error is None
    }
    assert acknowledged <= kept
    assert all(error is None or isinstance(error, UnavailableError) for error in outcomes)
    records = await at_last(lambda: engine.log.read("ledger", 0, offset=0, limit=9))
    assert [record.message.id for record in records] == ["before"]


async def test_work_goes_on_through_a_crash(engine: PostgresEngine, server: Any) -> None:
    receiver = await engine.queue.receiver("orders", "billing", limit=10, lease=1)
    done, sent = set[str](), [Message() for _ in range(60)]

    async def work() -> None:
        while len(done) < len(sent):
            taken = await at_last(lambda: receiver.receive(5, wait=1))
            acks = [Ack(each.receipt) for each in taken]
            try:
                await receiver.settle(acks)
            except UnavailableError:
                continue  # they come again, once their lease is over
            done.update(each.message.id for each in taken)

    working = asyncio.create_task(work())
    for number, message in enumerate(sent):
        await at_last(lambda: engine.queue.send("orders", [message]))  # noqa: B023
        if number == 30:
            server.stop()
            server.launch()
    async with asyncio.timeout(40):
        await working
    assert done >= {message.id for message in sent}


async def test_where_nobody_answers_the_engine_says_so() -> None:
    with pytest.raises(UnavailableError, match="out of reach"):
        await connect("postgresql://postgres@127.0.0.1:1/shop")


# --- who is not let in


async def test_an_unknown_database_is_told(server: Any) -> None:
    with pytest.raises(ConfigError, match="no_such_shop"):
        await connect(server.url("no_such_shop"))


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        ("postgresql://me:secret@127.0.0.1", "names no database"),
        ("postgresql://me:secret@127.0.0.1/a/b", "names no database"),
        ("postgresql://me:secret@127.0.0.1/shop?durability=some", "full or normal"),
        ("postgresql://me:secret@127.0.0.1/shop?pool_size=0", "1 to 200"),
        ("postgresql://me:secret@127.0.0.1/shop?timeout=soon", "1 to 3600"),
        ("postgresql://me:secret@127.0.0.1/shop?flavour=salty", "flavour"),
    ],
)
async def test_a_wrong_url_is_refused_and_its_password_kept(wrong: str, match: str) -> None:
    with pytest.raises(ConfigError, match=match) as caught:
        await connect(wrong)
    assert "secret" not in str(caught.value)


# --- transactions


async def test_of_two_that_wait_for_each_other_one_has_a_conflict(
    engine: PostgresEngine, rows: Rows
) -> None:
    await rows("CREATE TABLE paid (id int PRIMARY KEY, total int NOT NULL)")
    await rows("INSERT INTO paid VALUES (1, 0), (2, 0)")
    both = asyncio.Barrier(2)
    update = "UPDATE paid SET total = total + 1 WHERE id = :id"

    async def pay(first: int, second: int) -> None:
        async with engine.store.begin() as tx:
            await tx.execute(update, id=first)
            await both.wait()
            await tx.execute(update, id=second)

    ended = await asyncio.gather(pay(1, 2), pay(2, 1), return_exceptions=True)
    assert sorted(type(each).__name__ for each in ended) == ["ConflictError", "NoneType"]
    assert await rows("SELECT total FROM paid") == [(1,), (1,)]


async def test_after_a_conflict_nothing_more_runs(engine: PostgresEngine, rows: Rows) -> None:
    await rows("CREATE TABLE paid (id int PRIMARY KEY, total int NOT NULL)")
    tx = engine.store.begin()
    await tx.fetch("SELECT * FROM paid")
    await tx.execute("INSERT INTO paid VALUES (1, 1)")
    await rows("CREATE TABLE other (id int)")
    conflict = "DO $$ BEGIN RAISE EXCEPTION 'rivals' USING ERRCODE = '40001'; END $$"
    for _ in range(2):
        with pytest.raises(ConflictError, match="rivals"):
            await tx.execute(conflict)
    with pytest.raises(ConflictError):
        await tx.commit()
    assert await rows("SELECT * FROM paid") == []


async def test_a_constraint_that_is_checked_at_the_end_undoes_all(
    engine: PostgresEngine, rows: Rows
) -> None:
    await rows("CREATE TABLE paid (id int UNIQUE DEFERRABLE INITIALLY DEFERRED)")
    tx = engine.store.begin()
    await tx.execute("INSERT INTO paid VALUES (1), (1)")
    await engine.queue.send("orders", [Message()], tx=tx)
    with pytest.raises(StatementError, match="paid_id_key"):
        await tx.commit()
    assert await rows("SELECT * FROM paid") == []
    assert await rows("SELECT id FROM isthmus.slot") == []


async def test_transactions_are_as_many_as_the_url_says(url: str, rows: Rows) -> None:
    engine = await connect(f"{url}?transactions=1&timeout=1")
    assert engine.store is not None
    one, two = engine.store.begin(), engine.store.begin()
    await one.fetch("SELECT 1")
    with pytest.raises(UnavailableError, match="transactions="):
        await two.fetch("SELECT 1")
    await two.rollback()
    await one.commit()
    async with engine.store.begin() as three:
        assert await three.fetch("SELECT 1") == [(1,)]
    await engine.aclose()


async def test_who_runs_no_sql_needs_no_connection_of_those(url: str, rows: Rows) -> None:
    engine = await connect(f"{url}?transactions=1&timeout=1")
    assert engine.store is not None
    assert engine.queue is not None
    await engine.queue.declare("orders", "billing")
    async with engine.store.begin() as holding:
        await holding.fetch("SELECT 1")
        async with engine.store.begin() as tx:
            await engine.store.get("inbox", ["a"], tx=tx)
            await engine.store.put("inbox", [Put("a", b"1", if_version=0)], tx=tx)
            await engine.queue.send("orders", [Message(), Message()], tx=tx)
        assert await rows("SELECT count(*) FROM isthmus.slot") == [(2,)]
    await engine.aclose()


async def test_closing_rolls_back_what_is_open(url: str, rows: Rows) -> None:
    await rows("CREATE TABLE paid (id int)")
    engine = await connect(url)
    assert engine.store is not None
    tx = engine.store.begin()
    await tx.execute("INSERT INTO paid VALUES (1)")
    async with asyncio.timeout(10):
        await engine.aclose()
    with pytest.raises(UnavailableError):
        await tx.commit()
    assert await rows("SELECT * FROM paid") == []


async def test_a_transaction_that_is_held_is_told_of(engine: PostgresEngine) -> None:
    told = asyncio.get_running_loop().create_future()
    engine.signals.listen(TransactionHeld, told.set_result)
    tx: Transaction
    async with asyncio.timeout(20), engine.store.begin() as tx:
        await tx.fetch("SELECT :secret::text", secret="1234")
        held = await told
    assert held.scope == engine.store.capabilities.scope
    assert held.began_with == "SELECT $1::text"


async def test_a_cancelled_statement_leaves_the_engine_usable(
    engine: PostgresEngine, rows: Rows
) -> None:
    tx = engine.store.begin()
    sleeping = asyncio.create_task(tx.fetch("SELECT pg_sleep(60)"))
    while not await rows("SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'"):
        pass
    sleeping.cancel()
    await asyncio.gather(sleeping, return_exceptions=True)
    with pytest.raises(UnavailableError, match="cancelled"):
        await tx.fetch("SELECT 1")
    await tx.rollback()
    async with engine.store.begin() as again:
        assert await again.fetch("SELECT 1") == [(1,)]


class Shifted(SystemClock):
    """A machine's clock that nobody keeps in step."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self._seconds = seconds

    def now(self) -> float:
        return super().now() + self._seconds


@pytest.mark.parametrize("seconds", [3600.0, -3600.0])
async def test_a_machine_whose_clock_is_wrong_takes_nothing_from_others(
    engine: PostgresEngine, url: str, seconds: float
) -> None:
    wrong = await connect(url, clock=Shifted(seconds))
    assert wrong.queue is not None
    await engine.queue.send("orders", [Message(), Message()])
    holder = await engine.queue.receiver("orders", "billing", limit=1, lease=60)
    other = await wrong.queue.receiver("orders", "billing", limit=1, lease=60)
    (held,) = await holder.receive(1, wait=0)
    (taken,) = await other.receive(1, wait=0)
    third = await wrong.queue.receiver("orders", "billing", limit=2, lease=60)
    assert not await third.receive(2, wait=0)
    fourth = await engine.queue.receiver("orders", "billing", limit=2, lease=60)
    assert not await fourth.receive(2, wait=0)
    await holder.settle([Ack(held.receipt)])
    await other.settle([Ack(taken.receipt)])
    await wrong.aclose()


async def test_clocks_that_are_nearly_in_step_are_left_alone(url: str) -> None:
    clock = Shifted(0.5)
    engine = await connect(url, clock=clock)
    assert isinstance(engine, PostgresEngine)
    await engine.log.declare("ledger")
    before = clock.now()
    await engine.log.append("ledger", [Message()])
    (record,) = await engine.log.read("ledger", 0, offset=0, limit=1)
    assert before <= record.at <= clock.now()
    await engine.aclose()
