"""How members read and commit: in order, from where the group had got to."""

import asyncio

import pytest

from isthmus.errors import LeaseLostError
from isthmus.testing.conformance.ledger import Ledger, LogTests, texts
from isthmus.testing.conformance.wiring import PROMPT

__all__ = ["MemberTests"]


class MemberTests(LogTests):
    # --- reading

    async def test_a_member_reads_on_where_it_was(self, ledger: Ledger) -> None:
        await ledger.declare()
        await ledger.append(*"abcde")
        member = await ledger.owner()
        assert texts(await member.read(2, wait=ledger.patience)) == ["a", "b"]
        assert texts(await member.read(2, wait=ledger.patience)) == ["c", "d"]
        assert texts(await ledger.drink(member)) == ["e"]

    async def test_a_new_owner_starts_at_what_was_committed(self, ledger: Ledger) -> None:
        await ledger.declare()
        await ledger.append(*"abcde")
        one = await ledger.owner()
        records = await ledger.drink(one)
        await one.commit({0: records[1].offset + 1})
        await one.aclose()
        assert texts(await ledger.drink(await ledger.join())) == ["c", "d", "e"]

    async def test_no_partition_is_starved(self, ledger: Ledger) -> None:
        await ledger.declare(partitions=3)
        await ledger.fill(60)
        member = await ledger.owner()
        seen = set[int]()
        for _ in range(6):
            seen |= {record.partition for record in await member.read(3, wait=ledger.patience)}
        assert seen == {0, 1, 2}

    async def test_a_member_reads_each_partition_in_order(self, ledger: Ledger) -> None:
        await ledger.declare(partitions=3)
        await ledger.fill(60)
        member = await ledger.owner()
        found = await ledger.drink(member)
        for partition in range(3):
            offsets = [record.offset for record in found if record.partition == partition]
            assert offsets == sorted(set(offsets))
            assert len(offsets) == len(await ledger.read(partition))

    async def test_a_waiting_member_wakes_when_something_is_appended(self, ledger: Ledger) -> None:
        await ledger.declare()
        member = await ledger.owner()
        reading = await ledger.start(member.read(10, wait=1000 * ledger.tick))
        await ledger.append("a")
        async with asyncio.timeout(PROMPT):
            assert texts(await reading) == ["a"]

    async def test_a_waiting_member_returns_once_the_wait_is_over(self, ledger: Ledger) -> None:
        await ledger.declare()
        member = await ledger.owner()
        reading = await ledger.start(member.read(10, wait=5 * ledger.tick))
        await ledger.elapse(4)
        assert not reading.done()
        await ledger.elapse(2)
        async with asyncio.timeout(PROMPT):
            assert not await reading

    async def test_a_cancelled_read_loses_nothing(self, ledger: Ledger) -> None:
        await ledger.declare()
        member = await ledger.owner()
        reading = await ledger.start(member.read(10, wait=1000 * ledger.tick))
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
        await ledger.append("a")
        assert texts(await ledger.drink(member)) == ["a"]

    # --- committing

    async def test_what_is_committed_is_where_the_group_goes_on(self, ledger: Ledger) -> None:
        await ledger.declare(partitions=2)
        await ledger.fill()
        member = await ledger.owner()
        await member.commit({0: 3})
        await member.commit({1: 2})
        await member.commit({0: 4})
        assert await ledger.positions() == {0: 4, 1: 2}

    async def test_nothing_is_set_if_one_partition_is_lost(self, ledger: Ledger) -> None:
        await ledger.declare(partitions=2)
        await ledger.fill()
        one, two = await ledger.owner(), await ledger.join()
        await ledger.share_out(one, two)
        (mine,), (theirs,) = one.owned, two.owned
        before = await ledger.positions()
        with pytest.raises(LeaseLostError) as caught:
            await one.commit({mine: 5, theirs: 5})
        assert caught.value.lost == (theirs,)
        assert await ledger.positions() == before

    async def test_what_was_released_cannot_be_committed(self, ledger: Ledger) -> None:
        await ledger.declare()
        await ledger.append("a")
        member = await ledger.owner()
        await member.release([0])
        with pytest.raises(LeaseLostError):
            await member.commit({0: 1})
        assert await ledger.positions() == {0: 0}

    async def test_who_left_cannot_commit(self, ledger: Ledger) -> None:
        await ledger.declare()
        member = await ledger.owner()
        await member.aclose()
        await member.aclose()
        with pytest.raises(LeaseLostError):
            await member.commit({0: 1})
        assert set((await ledger.owner()).owned) == {0}

    async def test_a_drained_member_reads_no_more_and_commits_on(self, ledger: Ledger) -> None:
        await ledger.declare()
        member = await ledger.owner()
        reading = await ledger.start(member.read(10, wait=1000 * ledger.tick))
        await member.drain()
        async with asyncio.timeout(PROMPT):
            assert not await reading
        await ledger.append("a")
        async with asyncio.timeout(PROMPT):
            assert not await member.read(10, wait=1000 * ledger.tick)
        await member.commit({0: 1})
        assert await ledger.positions() == {0: 1}

    # --- seeking

    async def test_a_group_can_be_set_back(self, ledger: Ledger) -> None:
        await ledger.declare()
        await ledger.append("a", "b")
        member = await ledger.owner()
        await member.commit({0: (await ledger.drink(member))[-1].offset + 1})
        await member.aclose()
        first = await ledger.first()
        await ledger.engine_log.seek(ledger.log, ledger.group, {0: first})
        assert await ledger.positions() == {0: first}
        assert texts(await ledger.drink(await ledger.join())) == ["a", "b"]

    async def test_seeking_fences_who_reads(self, ledger: Ledger) -> None:
        await ledger.declare(partitions=2)
        sent = await ledger.fill()
        member = await ledger.owner()
        await ledger.drink(member)
        former = dict(member.owned)
        first = await ledger.engine_log.offsets(ledger.log, at="first")
        await ledger.seek(dict(first))
        with pytest.raises(LeaseLostError):
            await member.commit({0: await ledger.end(0)})
        assert await ledger.positions() == first
        assert sorted(texts(await ledger.drink(member))) == sorted(sent)
        assert all(member.owned[partition] > former[partition] for partition in former)
        await member.commit({0: await ledger.end(0)})

    async def test_seeking_leaves_other_partitions_and_groups(self, ledger: Ledger) -> None:
        await ledger.declare(partitions=2)
        await ledger.fill()
        member, other = await ledger.owner(), await ledger.join(f"other-{ledger.name}")
        await ledger.drink(member)
        await ledger.drink(other)
        await ledger.seek({0: 0})
        await member.commit({1: 2})
        await other.commit({0: 3})
        assert {record.partition for record in await ledger.drink(member)} == {0}
        assert not await ledger.drink(other)
