"""What `isthmus projections` and `isthmus events` promise, with real processes."""

import asyncio
import json
import signal
import sqlite3
from pathlib import Path
from typing import Any

import pytest

BANK = """
    from collections.abc import Sequence

    import msgspec
    from isthmus import App, Transaction
    from isthmus.settings import Settings
    from isthmus.sourcing import Recorded, Table

    class Deposit(msgspec.Struct, frozen=True):
        amount: int

    class Deposited(msgspec.Struct, frozen=True):
        amount: int

    class Account(msgspec.Struct, frozen=True):
        balance: int = 0

        def decide(self, command: Deposit) -> Sequence[Deposited]:
            return [Deposited(command.amount)]

        def evolve(self, event: Deposited) -> "Account":
            return Account(self.balance + event.amount)

    app = App("bank", engine="sqlite:///bank.db?durability=normal", settings=Settings(session=1))
    accounts = app.aggregate("account", Account)
    table = Table("balances", "account text primary key, amount integer")

    @app.projection("balances", accounts, into=[table])
    async def balances(event: Recorded[Deposited], tx: Transaction) -> None:
        await tx.execute(
            f"insert into {table} values (:account, :amount)"
            " on conflict (account) do update set amount = amount + :amount",
            account=event.key,
            amount=event.value.amount,
        )
"""

EVENTS, KEYS = 3000, 7


@pytest.fixture
def bank(empty: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A folder with an app whose aggregates have 3,000 events."""
    empty.write("bank.py", BANK)
    monkeypatch.setenv("ISTHMUS_APP", "bank:app")
    from isthmus.cli.locate import locate

    app = locate("bank:app")
    import bank as module  # pyright: ignore[reportMissingImports]

    async def fill() -> None:
        async with app, app.transaction():
            for number in range(EVENTS):
                await module.accounts.handle(f"acc-{number % KEYS}", module.Deposit(1))

    asyncio.run(fill())
    return empty


def rows(folder: Path) -> dict[str, int]:
    with sqlite3.connect(folder / "bank.db") as connection:
        return dict(connection.execute("select account, amount from balances"))


def wanted() -> dict[str, int]:
    return {f"acc-{key}": len(range(key, EVENTS, KEYS)) for key in range(KEYS)}


def test_projections_are_listed_with_how_far_they_are(bank: Any) -> None:
    (row,) = bank.json("projections")
    assert row == {
        "name": "balances",
        "aggregate": "account",
        "generation": 1,
        "version": 1,
        "behind": EVENTS,
        "parked": 0,
        "building": None,
        "building_behind": None,
    }
    assert "GENERATION" in bank("projections").output
    assert "there are: balances" in bank("projections", "rebuild", "nothing").output
    refused = bank("projections", "rebuild", "balances", "--wait", "0.1")
    assert "is not switched after 0.1 s" in refused.output


@pytest.mark.timeout(120)
def test_a_rebuild_is_exact_though_its_processes_are_killed(bank: Any) -> None:
    """Each kill hits it somewhere else: while it reads, while it switches, while it drops."""
    running = bank.start("run")
    running.ready()
    for _ in range(4):
        bank("projections", "rebuild", "balances")
        running.process.send_signal(signal.SIGKILL)
        running.wait()
        running = bank.start("run")
        running.ready()
    done = bank("projections", "rebuild", "balances", "--wait", "60")
    assert "balances is switched" in done.output, done.output
    (row,) = bank.json("projections")
    assert (row["behind"], row["building"]) == (0, None)
    assert rows(bank.folder) == wanted()
    assert running.stop() == 0


def test_events_are_copied_out_and_in(bank: Any) -> None:
    assert "copy has 3000 events" in bank("events", "export", "account", "copy").output
    assert "a whole copy already" in bank("events", "export", "account", "copy").output
    bank.write("other.py", BANK.replace("bank.db", "other.db"))
    from isthmus.cli.locate import locate

    async def open_once() -> None:
        async with locate("other:app"):
            pass

    asyncio.run(open_once())
    done = bank("events", "import", "account", "copy", "--app", "other:app")
    assert "3000 events added, 0 were there" in done.output
    read = bank.json(
        "streams", "read", "account", "--key", "acc-3", "--limit", "2", "--app", "other:app"
    )
    assert [json.loads(each["body"]) for each in read] == [{"amount": 1}] * 2
