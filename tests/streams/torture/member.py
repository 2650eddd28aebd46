"""One process of the group under torture: `python member.py URL SESSION EVENTS`.

It writes every entry into a table, without any key that would hide a double, and
tells in the file EVENTS when it takes a partition.
"""

import asyncio
import random
import signal
import sys
import time
from pathlib import Path

import msgspec

from isthmus import App, Retry, Transaction
from isthmus.settings import Settings
from isthmus.streams import PartitionsTaken, Stream

ATTEMPTS = 3
PARTITIONS = 8


class Entry(msgspec.Struct, frozen=True):
    account: str
    amount: int
    fails: int = 0
    """How many attempts fail; from ATTEMPTS on it is poison."""


def ledger_app(url: str, *, session: float) -> tuple[App, Stream[Entry]]:
    app = App("torture", engine=url, settings=Settings(session=session, port=0))
    ledger = app.stream("ledger", Entry, key="account", partitions=PARTITIONS)
    retry = Retry(attempts=ATTEMPTS, delay=0.05, factor=1, jitter="none")

    @ledger.group("balances", retry=retry)
    async def post(entry: Entry, tx: Transaction) -> None:
        await app.declarations.host.clock.sleep(random.choice((0, 0, 0, 0.001)))
        if entry.fails:
            await fail(entry)
        await tx.execute(
            "insert into effects (account, amount) values (:account, :amount)",
            account=entry.account,
            amount=entry.amount,
        )

    async def fail(entry: Entry) -> None:
        """Fail as often as the entry says, counted beside the handler's transaction."""
        async with app.transaction() as tx:
            rows = await tx.fetch("select 1 from failures where amount = :a", a=entry.amount)
            if len(rows) < entry.fails:
                await tx.execute("insert into failures (amount) values (:a)", a=entry.amount)
        if len(rows) < entry.fails:
            raise ValueError(f"entry {entry.amount} fails")

    return app, ledger


async def main(url: str, session: float, events: Path) -> None:
    app, _ = ledger_app(url, session=session)
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, lambda: loop.create_task(app.drain()))
    with events.open("a", buffering=1) as told:

        def tell(taken: PartitionsTaken) -> None:
            for partition in taken.partitions:
                told.write(f"{partition} {time.time()}\n")

        app.signals.listen(PartitionsTaken, tell)
        await app.run()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], float(sys.argv[2]), Path(sys.argv[3])))
