"""One process of the bank under torture: `python teller.py FOLDER NUMBER COMMANDS`.

The store is a file in FOLDER, unless BANK_URL names another. It handles its commands, each
under an id of its own, tells in a file which are done, and after a kill goes on with the others,
under the same ids. It runs the projection meanwhile.
"""

import asyncio
import os
import random
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

import msgspec

from isthmus import App, Retry, Transaction
from isthmus.clock import SystemClock
from isthmus.errors import UnavailableError
from isthmus.handling.running.runtime import Runtime
from isthmus.settings import Settings
from isthmus.sourcing import Aggregate, Documents, Projection, Recorded, SearchIndex, Table

KEYS, AT_ONCE = 12, 8


class Deposit(msgspec.Struct, frozen=True):
    amount: int


class Withdraw(msgspec.Struct, frozen=True):
    amount: int


class Transfer(msgspec.Struct, frozen=True):
    source: str
    target: str
    amount: int
    label: str


class Deposited(msgspec.Struct, frozen=True):
    amount: int


class Withdrawn(msgspec.Struct, frozen=True):
    amount: int


class OverdrawnError(Exception):
    """There is less in it than was asked for."""


class Account(msgspec.Struct, frozen=True):
    balance: int = 0

    def decide(self, command: Deposit | Withdraw) -> Sequence[Deposited | Withdrawn]:
        if isinstance(command, Deposit):
            return [Deposited(command.amount)]
        if command.amount > self.balance:
            raise OverdrawnError
        return [Withdrawn(command.amount)]

    def evolve(self, event: Deposited | Withdrawn) -> "Account":
        return Account(self.balance + change(event))


def change(event: Deposited | Withdrawn) -> int:
    return event.amount if isinstance(event, Deposited) else -event.amount


class Bank:
    def __init__(self, folder: Path) -> None:
        url = os.environ.get("BANK_URL", f"sqlite:///{folder}/bank.db?durability=normal")
        self.app = App("bank", engine=url, settings=Settings(session=2, port=0))
        self.accounts: Aggregate[Account] = self.app.aggregate(
            "account", Account, partitions=4, snapshot_every=25
        )
        self.table = Table("balances", "account text primary key, amount integer, events integer")
        self.documents, self.index = Documents("states", Account), SearchIndex("found", "text")
        self.transfer = self.app.command("transfer")(self._transfer)
        self.balances: Projection = self.app.projection(
            "balances",
            self.accounts,
            into=[self.table, self.documents, self.index],
            retry=Retry(1_000_000, delay=0.05, factor=1, jitter="none"),
        )(self._project)

    async def _transfer(self, command: Transfer) -> None:
        said = {"n": command.label}
        await self.accounts.handle(command.source, Withdraw(command.amount), headers=said)
        await self.accounts.handle(command.target, Deposit(command.amount), headers=said)

    async def _project(self, event: Recorded[Deposited | Withdrawn], tx: Transaction) -> None:
        more = change(event.value)
        if random.random() < 0.01:
            raise RuntimeError("flaky")
        await tx.execute(
            f"insert into {self.table} values (:account, :more, 1) on conflict (account) "
            f"do update set amount = {self.table}.amount + :more, events = {self.table}.events + 1",
            account=event.key,
            more=more,
        )
        state = await self.documents.change(
            event.key, lambda was: Account((was.balance if was else 0) + more)
        )
        await self.index.put(event.key, text=f"{event.key} has {state.balance}")

    async def do(self, label: str) -> str:
        """Do what a label stands for, under it as an id; return how it ended."""
        drawn = random.Random(label)
        source, target = drawn.sample(range(KEYS), 2)
        amount, kind = drawn.randint(1, 100), drawn.random()
        try:
            if kind < 0.3:
                command = Transfer(f"acc-{source}", f"acc-{target}", amount, label)
                await self.transfer(command, id=label)
                return "transferred"
            command = Deposit(amount) if kind < 0.7 else Withdraw(amount)
            await self.accounts.handle(f"acc-{source}", command, id=label, headers={"n": label})
        except OverdrawnError:
            return "refused"
        return "done"


async def main(folder: Path, number: str, count: int) -> None:
    bank, over = Bank(folder), asyncio.Event()
    told = folder / f"told-{number}"
    before = {line.split()[0] for line in told.read_text().splitlines() if line.endswith(".")}
    left = [f"{number}-{n}" for n in range(count) if f"{number}-{n}" not in before]
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, over.set)
    async with bank.app:
        runtime = Runtime(bank.app.declarations, bank.app.declarations.host)
        with told.open("a", buffering=1) as file:
            async with asyncio.TaskGroup() as both:
                both.create_task(runtime.run())
                work = both.create_task(do_all(bank, left, file))
                await over.wait()
                work.cancel()
                await runtime.drain()


async def at_last(bank: Bank, label: str) -> str:
    """Do it again, under the same id, while the server is away."""
    while True:
        try:
            return await bank.do(label)
        except UnavailableError:
            await SystemClock().sleep(0.05)


async def do_all(bank: Bank, left: list[str], file: TextIO) -> None:
    async def some() -> None:
        while left:
            label = left.pop(0)
            file.write(f"{label} {await at_last(bank, label)} .\n")

    await asyncio.gather(*(some() for _ in range(AT_ONCE)))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])))
