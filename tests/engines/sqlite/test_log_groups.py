"""Who owns which partition."""

import asyncio
from collections.abc import Sequence

import pytest

from isthmus.clock import ManualClock
from isthmus.contracts import LogEngine, Member
from isthmus.engines.sqlite.records.groups import share_of
from isthmus.engines.sqlite.records.member import SqliteMember
from isthmus.message import Message


@pytest.mark.parametrize("partitions", range(1, 12))
@pytest.mark.parametrize("members", range(1, 7))
def test_shares_are_even_and_leave_nothing_over(partitions: int, members: int) -> None:
    shares = [share_of(r, members=members, partitions=partitions) for r in range(members)]
    assert sum(shares) == partitions
    assert max(shares) - min(shares) <= 1


@pytest.mark.parametrize("partitions", range(1, 12))
@pytest.mark.parametrize("members", range(2, 7))
def test_no_share_shrinks_when_a_member_leaves(partitions: int, members: int) -> None:
    before = [share_of(r, members=members, partitions=partitions) for r in range(members)]
    after = [share_of(r, members=members - 1, partitions=partitions) for r in range(members - 1)]
    for leaver in range(members):
        stayed = before[:leaver] + before[leaver + 1 :]
        assert all(new >= old for new, old in zip(after, stayed, strict=True))


async def calm(members: Sequence[Member]) -> None:
    """Let everybody read, and release what others want, until nothing changes."""
    before = None
    while before != (before := [dict(member.owned) for member in members]):
        for _ in range(2):
            for member in members:
                await member.read(0, wait=0)
                await member.release(sorted(member.revoking))


async def test_who_leaves_moves_only_what_was_its_own(log: LogEngine) -> None:
    await log.declare("ledger", partitions=7)
    members = [await log.join("ledger", "balances") for _ in range(4)]
    await calm(members)
    before = [set(member.owned) for member in members]
    await members.pop(1).aclose()
    del before[1]
    await calm(members)
    assert all(old <= set(member.owned) for old, member in zip(before, members, strict=True))
    assert sorted(p for member in members for p in member.owned) == list(range(7))


async def test_a_silent_member_is_relieved_when_its_session_ends(
    log: LogEngine, clock: ManualClock
) -> None:
    await log.declare("ledger", partitions=2)
    silent, other = [await log.join("ledger", "balances", session=10) for _ in range(2)]
    await calm([silent, other])
    for _ in range(9):
        await clock.advance(1)
        await other.read(1, wait=0)
    await clock.advance(0.9)
    await other.read(1, wait=0)
    assert len(other.owned) == 1
    await clock.advance(0.1)
    await other.read(1, wait=0)
    assert len(other.owned) == 2


async def test_who_waits_looks_again_when_another_session_ends(
    log: LogEngine, clock: ManualClock
) -> None:
    await log.declare("ledger", partitions=2)
    silent = await log.join("ledger", "balances", session=5)
    other = await log.join("ledger", "balances", session=60)
    await calm([silent, other])
    assert isinstance(other, SqliteMember)
    _, due_at = await other._look(1)
    assert due_at == clock.now() + 5


async def test_a_busy_partition_does_not_starve_the_others(log: LogEngine) -> None:
    await log.declare("ledger", partitions=4)
    messages = [Message(key="busy") for _ in range(100)] + [Message(key=f"{n}") for n in range(20)]
    await log.append("ledger", messages)
    member = await log.join("ledger", "balances")
    seen: set[int] = set()
    for _ in range(4):
        seen |= {record.partition for record in await member.read(10, wait=0)}
    assert seen == {0, 1, 2, 3}


async def test_two_tasks_that_read_get_each_record_once(log: LogEngine) -> None:
    await log.declare("ledger", partitions=2)
    await log.append("ledger", [Message(key=f"{number}") for number in range(100)])
    member = await log.join("ledger", "balances")
    pages = await asyncio.gather(*(member.read(30, wait=0) for _ in range(8)))
    found = [(r.partition, r.offset) for page in pages for r in page]
    assert len(found) == len(set(found)) > 0
