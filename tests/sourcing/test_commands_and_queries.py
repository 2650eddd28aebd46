"""What commands and queries promise: once for one id, whole; never older than one's own write."""

import asyncio
from typing import Annotated, Any

import msgspec
import pytest
from tests.sourcing.bank import Account, Deposit, Deposited, OverdrawnError, Withdraw, Withdrawn

from isthmus import App, ConfigError, Depends, SchemaError, Transaction
from isthmus.errors import TimedOutError
from isthmus.handling.host import Host
from isthmus.sourcing import (
    Command,
    DeclaredCommand,
    DeclaredQuery,
    IdReusedError,
    Position,
    Recorded,
    Table,
)


class Transfer(msgspec.Struct, frozen=True):
    source: str
    target: str
    amount: Annotated[int, msgspec.Meta(gt=0)]


class Receipt(msgspec.Struct, frozen=True):
    versions: tuple[int, int]


class Bank:
    def __init__(self, url: str) -> None:
        self.app, self.calls = App("bank", engine=url), 0
        self.accounts = self.app.aggregate("account", Account)

        @self.app.command("transfer")
        async def transfer(command: Transfer) -> Receipt:
            self.calls += 1
            took = await self.accounts.handle(command.source, Withdraw(command.amount))
            gave = await self.accounts.handle(command.target, Deposit(command.amount))
            return Receipt((took.version, gave.version))

        self.transfer: Command[Receipt] = transfer


@pytest.fixture
def bank(url: str) -> Bank:
    return Bank(url)


async def test_a_command_over_two_aggregates_is_one_transaction(bank: Bank) -> None:
    async with bank.app:
        await bank.accounts.handle("a", Deposit(10))
        assert await bank.transfer(Transfer("a", "b", 4)) == Receipt((2, 1))
        with pytest.raises(OverdrawnError):
            await bank.transfer(Transfer("a", "b", 7), id="t")
        assert await bank.accounts.load("a") == Account(6)
        assert await bank.accounts.load("b") == Account(4)


async def test_the_same_id_twice_is_one_effect_and_one_answer(bank: Bank) -> None:
    async with bank.app:
        await bank.accounts.handle("a", Deposit(10))
        first = await bank.transfer(Transfer("a", "b", 10), id="t")
        assert await bank.transfer(Transfer("a", "b", 10), id="t") == first
        assert bank.calls == 1
        async with bank.app.transaction():
            await bank.accounts.handle("a", Deposit(5))
            second = await bank.transfer(Transfer("a", "b", 5), id="u")
            assert await bank.transfer(Transfer("a", "b", 5), id="u") is second
        assert await bank.accounts.load("b") == Account(15)
        (event,) = [each async for each in bank.accounts.history("b", after=1)]
        assert event.metadata.correlation == event.metadata.causation == "u"


async def test_at_once_from_everywhere_it_is_one_effect(bank: Bank) -> None:
    async with bank.app:
        await bank.accounts.handle("a", Deposit(100))
        answers = await asyncio.gather(
            *(bank.transfer(Transfer("a", "b", 10), id="t") for _ in range(20))
        )
        assert len(set(answers)) == 1
        assert await bank.accounts.load("b") == Account(10)


async def test_an_id_is_for_one_command(bank: Bank) -> None:
    async with bank.app:
        await bank.accounts.handle("a", Deposit(10), id="d")
        with pytest.raises(IdReusedError, match="'d'"):
            await bank.accounts.handle("a", Deposit(11), id="d")
        await bank.transfer(Transfer("a", "b", 1), id="t")
        with pytest.raises(IdReusedError, match="'t'"):
            await bank.transfer(Transfer("a", "b", 2), id="t")
        assert await bank.accounts.load("a") == Account(9)


@pytest.mark.parametrize("wrong", [Transfer("a", "b", 0), Deposit(1), "transfer"])
async def test_what_does_not_fit_is_refused(bank: Bank, wrong: Any) -> None:
    async with bank.app:
        with pytest.raises(SchemaError):
            await bank.transfer(wrong)
        assert bank.calls == 0


async def test_a_query_shows_what_its_caller_wrote(engine: str) -> None:
    app = App("bank")
    accounts = app.aggregate("account", Account)
    table = Table("balances", "account text primary key, amount integer")

    @app.projection("balances", accounts, into=[table])
    async def balances(event: Recorded[Deposited | Withdrawn], tx: Transaction) -> None:
        await tx.execute(
            f"insert into {table} values (:account, :amount) "
            f"on conflict (account) do update set amount = {table}.amount + :amount",
            account=event.key,
            amount=event.value.amount,
        )

    def unit(host: Host) -> str:
        return f"euros of {host.name}"

    @app.query("balance", balances)
    async def balance(
        account: str, tx: Transaction, unit: Annotated[str, Depends(unit)], *, less: int = 0
    ) -> str:
        rows = await tx.fetch("select amount from balances where account = :a", a=account)
        return f"{rows[0][0] - less} {unit}" if rows else "nothing"

    async with app.test(engine=engine) as t:
        assert await balance("acc-1") == "nothing"
        handled = await accounts.handle("acc-1", Deposit(10))
        for _ in range(300):
            await t.settle()
            if not await balances.behind():
                break
        assert await balance("acc-1", after=handled.position) == "10 euros of bank"
        assert await balance(account="acc-1", less=3) == "7 euros of bank"
        async with app.transaction():
            assert await balance("acc-1") == "10 euros of bank"
        with pytest.raises(TimedOutError, match="does not show acc-1@2"):
            await balance("acc-1", after=Position("acc-1", 2), timeout=0)
        with pytest.raises(ConfigError, match="asked with \\(account, less\\)"):
            await balance()
        with pytest.raises(ConfigError, match="not with 1 and \\(more\\)"):
            await balance("acc-1", more=1)


def test_what_they_are_made_of_is_checked_and_told() -> None:
    app = App("bank")
    with pytest.raises(ConfigError, match="takes no command"):

        @app.command("none")
        async def none(tx: Transaction) -> None: ...

    with pytest.raises(ConfigError, match="async def"):

        @app.query("sync")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        def sync(account: str) -> int: ...

    with pytest.raises(ConfigError, match="keep_ids=0"):

        @app.command("short", keep_ids=0)
        async def short(command: Transfer) -> None: ...

    with pytest.raises(ConfigError, match="not open"):
        Bank("memory://").transfer.__call__(Transfer("a", "b", 1)).send(None)
    told = Bank("memory://").app.describe()
    (command,) = told.of(DeclaredCommand)
    assert (command.name, str(command.command), str(command.result)) == (
        "transfer",
        "Transfer",
        "Receipt",
    )
    assert told.of(DeclaredQuery) == []
