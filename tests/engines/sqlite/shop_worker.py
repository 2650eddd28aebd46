"""A process that takes messages, or reads records, until it is killed."""

import asyncio
import sys

from isthmus.connect import connect
from isthmus.contracts import Ack, LogEngine, Nack, QueueEngine
from isthmus.errors import LeaseLostError


async def hold(queue: QueueEngine) -> None:
    """Take what there is, say so, and never settle it."""
    receiver = await queue.receiver("orders", "billing", limit=10, lease=1)
    for delivery in await receiver.receive(10, wait=30):
        print(delivery.message.id, flush=True)
    print("held", flush=True)
    await asyncio.Event().wait()


async def work(queue: QueueEngine) -> None:
    """Each time it is told to: acknowledge 25, say which; give one in ten back at first."""
    receiver = await queue.receiver("orders", "billing", limit=200, lease=2)
    while await asyncio.to_thread(sys.stdin.readline):
        taken = await receiver.receive(25, wait=30)
        back = {each.receipt for each in taken[::10] if each.attempt == 1}
        done = {each.receipt: each.message.id for each in taken if each.receipt not in back}
        try:
            await receiver.settle([*map(Nack, back), *map(Ack, done)])
        except LeaseLostError as error:
            done = {receipt: id_ for receipt, id_ in done.items() if receipt not in error.lost}
        print(*done.values(), "done", sep="\n", flush=True)


async def read(log: LogEngine) -> None:
    """Read and commit; say which partitions are owned."""
    member = await log.join("ledger", "balances", session=1)
    while True:
        records = await member.read(10, wait=0.2)
        await member.release(sorted(member.revoking))
        owned = [record for record in records if record.partition in member.owned]
        try:
            await member.commit({record.partition: record.offset + 1 for record in owned})
        except LeaseLostError:
            continue
        print(*sorted(member.owned), flush=True)


async def main(does: str, path: str) -> None:
    engine = await connect(f"sqlite:///{path}?durability=normal")
    assert engine.queue is not None
    assert engine.log is not None
    if does == "read":
        await read(engine.log)
    await {"hold": hold, "work": work}[does](engine.queue)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
