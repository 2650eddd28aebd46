"""Processes that share the work, and die in the middle of it."""

import asyncio
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from isthmus.connect import connect
from isthmus.contracts import LogEngine, QueueEngine
from isthmus.engines.sqlite import SqliteEngine
from isthmus.message import Message

Start = Callable[[str], "Worker"]

PROCESS = Path(__file__).with_name("shop_worker.py")


class Worker:
    def __init__(self, does: str, path: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, PROCESS, does, path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def tell(self) -> None:
        """Let it go on."""
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    async def says(self) -> str:
        """The next line."""
        assert self.process.stdout is not None
        return (await asyncio.to_thread(self.process.stdout.readline)).strip()

    async def says_at_last(self, line: str) -> list[str]:
        """All lines before this one."""
        lines: list[str] = []
        while (said := await self.says()) != line:
            assert self.process.poll() is None, "it ended before it said so"
            lines.append(said)
        return lines

    def kill(self) -> list[str]:
        """What it had still said; nothing if it is dead already."""
        if self.process.returncode is not None:
            return []
        self.process.kill()
        with self.process as process:
            assert process.stdout is not None
            return process.stdout.read().split()


@pytest.fixture
def start(path: Path) -> Iterator[Start]:
    workers: list[Worker] = []

    def one(does: str) -> Worker:
        workers.append(Worker(does, path))
        return workers[-1]

    yield one
    for worker in workers:
        worker.kill()


@pytest_asyncio.fixture
async def engine(path: Path) -> AsyncIterator[SqliteEngine]:
    """On the machine's clock."""
    engine = await connect(f"sqlite:///{path}?durability=normal")
    assert isinstance(engine, SqliteEngine)
    yield engine
    await engine.aclose()


async def test_what_a_killed_process_held_comes_back(queue: QueueEngine, start: Start) -> None:
    await queue.declare("orders", "billing")
    await queue.send("orders", [Message(id=f"m{number}") for number in range(3)])
    holder = start("hold")
    assert await holder.says_at_last("held") == ["m0", "m1", "m2"]
    holder.kill()
    receiver = await queue.receiver("orders", "billing", limit=10, lease=30)
    found = await receiver.receive(10, wait=30)
    assert [each.message.id for each in found] == ["m0", "m1", "m2"]
    assert {(each.attempt, each.lapses) for each in found} == {(2, 1)}


async def test_nothing_is_lost_and_nothing_acknowledged_twice(
    queue: QueueEngine, start: Start
) -> None:
    sent = [f"m{number}" for number in range(1500)]
    await queue.declare("orders", "billing")
    for first in range(0, len(sent), 50):
        await queue.send("orders", [Message(id=id_) for id_ in sent[first : first + 50]])
    done: Counter[str] = Counter()
    for batches in range(1, 5):
        victim, other = start("work"), start("work")
        for worker in [victim, other] * batches:
            worker.tell()
            done.update(await worker.says_at_last("done"))
        victim.tell()
        other.tell()
        if batches % 2:  # at once, or in the midst of it
            done.update(victim.kill())
        done.update(await other.says_at_last("done"))
        done.update(victim.kill() + other.kill())
    survivor = start("work")
    while await queue.browse("orders", "billing", limit=1):
        survivor.tell()
        done.update(await survivor.says_at_last("done"))
    del done["done"]
    assert set(done.values()) == {1}
    assert len(sent) - len(done) <= 4 * 25  # what a victim acknowledged and did not say


async def test_the_partitions_of_a_killed_process_are_taken_over(
    log: LogEngine, start: Start
) -> None:
    await log.declare("ledger", partitions=4)
    one = start("read")
    await one.says_at_last("0 1 2 3")
    two = start("read")
    await one.says_at_last("0 1")
    await two.says_at_last("2 3")
    one.kill()
    await two.says_at_last("0 1 2 3")
    await log.append("ledger", [Message(key=f"{number}") for number in range(40)])
    end = dict(await log.offsets("ledger", at="end"))
    while dict(await log.positions("ledger", "balances")) != end:
        await two.says()
