"""Streams on the default engine: rows, positions and records in one file."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from isthmus import App, Retry, Transaction
from isthmus.handling.facts import HandlerSucceeded, MessageBuried
from isthmus.streams import Stream


class Entry(msgspec.Struct, frozen=True):
    account: str
    amount: int = 1


Opened = tuple[App, Stream[Entry]]


@pytest.fixture
def opened(tmp_path: Path) -> Callable[..., Opened]:
    """Declare an App on one file, whose group writes a row for each entry."""

    def declare(**options: Any) -> Opened:
        app = App("shop", engine=f"sqlite:///{tmp_path}/shop.db?durability=normal")
        ledger = app.stream("ledger", Entry, key="account", partitions=4)

        async def write(tx: Transaction, entry: Entry) -> None:
            if entry.amount == 13:
                raise ValueError("thirteen")
            await tx.execute(
                "insert into rows (account, amount) values (:account, :amount)",
                account=entry.account,
                amount=entry.amount,
            )

        async def post(entry: Entry, tx: Transaction) -> None:
            await write(tx, entry)

        async def post_many(entries: list[Entry], tx: Transaction) -> None:
            for entry in entries:
                await write(tx, entry)

        handler: Any = post_many if options.get("batch") else post
        ledger.group("balances", retry=Retry(attempts=2, delay=0), **options)(handler)
        return app, ledger

    return declare


async def until_handled(app: App, count: int) -> None:
    """Run the App until so many records are handled, or dead letters."""
    left, done = count, asyncio.Event()

    def one_less(_: HandlerSucceeded | MessageBuried) -> None:
        nonlocal left
        left -= 1
        if not left:
            done.set()

    app.signals.listen(HandlerSucceeded, one_less)
    app.signals.listen(MessageBuried, one_less)
    running = asyncio.create_task(app.run())
    await asyncio.wait(
        [running, asyncio.create_task(done.wait())], return_when=asyncio.FIRST_COMPLETED
    )
    await app.drain()
    await running


async def rows(app: App) -> list[tuple[str, int]]:
    async with app, app.transaction() as tx:
        found = await tx.fetch("select account, amount from rows order by place")
        return [(each.account, each.amount) for each in found]


async def fill(app: App, ledger: Stream[Entry], amounts: range) -> None:
    async with app:
        async with app.transaction() as tx:
            await tx.execute(
                "create table if not exists rows (place integer primary key, account, amount)"
            )
        await ledger.append_many(Entry(f"acc-{n % 7}", n) for n in amounts)


@pytest.mark.parametrize("options", [{}, {"batch": 20}], ids=["one by one", "batches"])
async def test_a_group_goes_on_where_it_was(
    opened: Callable[..., Opened], options: dict[str, Any]
) -> None:
    for amounts in (range(100), range(100, 200)):
        app, ledger = opened(**options)
        await fill(app, ledger, amounts)
        await until_handled(opened(**options)[0], len(amounts))
    app, ledger = opened()
    found = await rows(app)
    for key in range(7):
        mine = [amount for account, amount in found if account == f"acc-{key}"]
        assert mine == [n for n in range(200) if n % 7 == key and n != 13]
    async with app:
        (letter,) = await ledger["balances"].dead_letters.list()
        assert "thirteen" in letter.failures[-1].error


async def test_records_and_rows_of_the_user_commit_together(opened: Callable[..., Opened]) -> None:
    app, ledger = opened()
    await fill(app, ledger, range(0))
    async with app:
        with pytest.raises(ValueError, match="no"):
            async with app.transaction() as tx:
                await tx.execute("insert into rows (account, amount) values ('a', 1)")
                await ledger.append(Entry("a"))
                raise ValueError("no")
        assert [entry async for entry in ledger.read()] == []
    assert await rows(app) == []


async def test_reading_by_time_and_offset_on_a_file(opened: Callable[..., Opened]) -> None:
    app, ledger = opened()
    await fill(app, ledger, range(500))
    async with app:
        read = [each async for each in ledger.records()]
        assert len(read) == 500
        late = [each async for each in ledger.read(since=read[-1].at)]
        assert late
        assert Entry("acc-2", 499) in late
        one = read[250]
        rest = [each async for each in ledger.records(offset=one.offset, partition=one.partition)]
        assert rest[0] == one
