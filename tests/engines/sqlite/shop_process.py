"""A process of its own, that does one thing to the file it is given."""

import asyncio
import os
import signal
import sys
from pathlib import Path

from isthmus.clock import SystemClock
from isthmus.engines.sqlite.address import Address
from isthmus.engines.sqlite.database.database import Connection, Database

TABLES = ["CREATE TABLE IF NOT EXISTS paid (id INTEGER PRIMARY KEY, total INTEGER NOT NULL)"]


def pay(id_: int, total: int) -> object:
    def work(at: Connection) -> None:
        at.execute("INSERT INTO paid VALUES (?, ?)", (id_, total))
        at.wake("paid")

    return work


async def once(database: Database) -> None:
    """Pay 1 when told to."""
    print("ready", flush=True)
    sys.stdin.readline()
    await database.write(pay(1, 1))  # type: ignore[arg-type]


async def forever(database: Database) -> None:
    """Pay pairs, in transactions and many at a time, and say what was acknowledged."""

    async def payer(first: int) -> None:
        for id_ in range(first, sys.maxsize, 64):
            async with database.begin() as tx:
                await tx.execute("insert into paid values (:id, 1)", id=2 * id_)
                await database.write(pay(2 * id_ + 1, 1), tx=tx)  # type: ignore[arg-type]
            print(2 * id_, flush=True)

    await asyncio.gather(*(payer(first) for first in range(32)))


async def count(database: Database) -> None:
    """Add one to a row a hundred times, as a handler would."""
    from isthmus.errors import ConflictError

    for _ in range(100):
        attempt = 0
        while True:
            attempt += 1
            try:
                async with database.begin(attempt=attempt) as tx:
                    ((total,),) = await tx.fetch("select total from paid where id = 0")
                    await tx.execute("update paid set total = :total where id = 0", total=total + 1)
            except ConflictError:
                continue
            break


async def die(database: Database) -> None:
    """Die with a letter box open."""

    async def probe() -> tuple[bool, float]:
        await database.read(lambda at: at.execute("SELECT 1"))
        if database._post.opened:
            os.kill(os.getpid(), signal.SIGKILL)
        return False, 0.0

    await database.until(probe, channel="paid", wait=60)


async def main(does: str, path: str) -> None:
    address = Address(path=Path(path), durability="process")
    database = await Database.open(address, clock=SystemClock(), tables=TABLES)
    await globals()[does](database)
    await database.aclose()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
