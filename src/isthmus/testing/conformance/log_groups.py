"""How groups read: shared out, in order, from where they had got to, one owner at a time."""

import asyncio

import pytest

from isthmus.contracts import Member
from isthmus.errors import LeaseLostError
from isthmus.testing.conformance.ledger import SESSION, Ledger, LogTests, texts
from isthmus.testing.conformance.wiring import PROMPT

__all__ = ["GroupTests"]


async def fill(ledger: Ledger, count: int = 20) -> list[str]:
    """Append one record for each of many keys, so that every partition has some."""
    sent = [f"r{number}" for number in range(count)]
    for text in sent:
        await ledger.append(text, key=text)
    return sent


async def fenced(ledger: Ledger) -> tuple[Member, Member]:
    """A member that was silent for too long, and the one that took over."""
    former = await ledger.owner()
    other = await ledger.join()
    await ledger.elapse(SESSION * 1.1)
    await ledger.share_out(other)
    assert set(other.owned) == {0, 1}
    return former, other


class GroupTests(LogTests):
    # --- joining

    async def test_a_group_begins_at_the_first_record(self, ledger: Ledger) -> None:
        await ledger.declare()
        await ledger.append("a", "b")
        assert texts(await ledger.drink(await ledger.join(start="first"))) == ["a", "b"]

    async def test_a_group_may_begin_at_the_end(self, ledger: Ledger) -> None:
        await ledger.declare()
        await ledger.append("before")
        member = await ledger.join(start="end")
        await ledger.share_out(member)
        await ledger.append("after")
        assert texts(await ledger.drink(member)) == ["after"]

    async def test_start_is_for_partitions_without_a_position(self, ledger: Ledger) -> None:
        await ledger.declare()
        await ledger.append("a", "b")
        member = await ledger.owner()
        a, _ = await ledger.drink(member)
        await member.commit({0: a.offset + 1})
        await member.aclose()
        assert texts(await ledger.drink(await ledger.join(start="end"))) == ["b"]

    async def test_groups_that_joined_are_listed(self, ledger: Ledger) -> None:
        await ledger.declare()
        assert not await ledger.engine_log.groups(ledger.log)
        await (await ledger.owner()).aclose()
        assert list(await ledger.engine_log.groups(ledger.log)) == [ledger.group]

    async def test_a_group_that_nobody_joined_has_no_positions(self, ledger: Ledger) -> None:
        await ledger.declare()
        assert await ledger.positions() == {}

    async def test_groups_read_on_their_own(self, ledger: Ledger) -> None:
        await ledger.declare()
        await ledger.append("a", "b")
        one, two = await ledger.join(f"one-{ledger.name}"), await ledger.join(f"two-{ledger.name}")
        records = await ledger.drink(one)
        await one.commit({0: records[-1].offset + 1})
        assert texts(await ledger.drink(two)) == ["a", "b"]
        assert (await ledger.positions(f"two-{ledger.name}"))[0] == await ledger.first()

    # --- sharing out

    async def test_a_member_alone_owns_everything(self, ledger: Ledger) -> None:
        await ledger.declare(partitions=4)
        sent = await fill(ledger)
        member = await ledger.owner()
        assert set(member.owned) == {0, 1, 2, 3}
        assert not member.revoking
        assert sorted(texts(await ledger.drink(member))) == sorted(sent)

    async def test_partitions_are_shared_out_among_members(self, ledger: Ledger) -> None:
        await ledger.declare(partitions=4)
        one, two = await ledger.owner(), await ledger.join()
        await ledger.share_out(one, two)
        assert (len(one.owned), len(two.owned)) == (2, 2)
        assert set(one.owned) | set(two.owned) == {0, 1, 2, 3}

    async def test_three_members_share_out_what_does_not_divide(self, ledger: Ledger) -> None:
        await ledger.declare(partitions=8)
        members = [await ledger.join() for _ in range(3)]
        await ledger.share_out(*members)
        assert sorted(len(member.owned) for member in members) == [2, 3, 3]
        assert sorted(p for member in members for p in member.owned) == list(range(8))

    async def test_more_members_than_partitions_leave_some_idle(self, ledger: Ledger) -> None:
        await ledger.declare(partitions=1)
        members = [await ledger.owner(), await ledger.join(), await ledger.join()]
        await ledger.share_out(*members)
        assert sorted(len(member.owned) for member in members) == [0, 0, 1]

    async def test_members_read_each_record_once(self, ledger: Ledger) -> None:
        await ledger.declare(partitions=4)
        members = [await ledger.join(), await ledger.join()]
        await ledger.share_out(*members)
        sent = await fill(ledger)
        assert sorted(texts(await ledger.drink(*members))) == sorted(sent)

    async def test_an_epoch_grows_with_every_owner(self, ledger: Ledger) -> None:
        await ledger.declare()
        epochs: list[int] = []
        for _ in range(3):
            member = await ledger.owner()
            epochs.append(member.owned[0])
            await member.aclose()
        assert epochs == sorted(set(epochs))

    async def test_a_newcomer_makes_an_owner_revoke(self, ledger: Ledger) -> None:
        await ledger.declare(partitions=2)
        await fill(ledger)
        one = await ledger.owner()
        two = await ledger.join()
        await two.read(0, wait=ledger.patience)
        found = await one.read(100, wait=ledger.patience)
        (wanted,) = one.revoking
        assert wanted in one.owned
        assert all(record.partition != wanted for record in found)
        assert wanted not in two.owned

    async def test_what_is_revoked_can_still_be_committed(self, ledger: Ledger) -> None:
        await ledger.declare(partitions=2)
        await fill(ledger)
        one = await ledger.owner()
        await ledger.drink(one)
        two = await ledger.join()
        await two.read(0, wait=ledger.patience)
        await one.read(0, wait=ledger.patience)
        (wanted,) = one.revoking
        end = await ledger.end(wanted)
        await one.commit({wanted: end})
        await one.release([wanted])
        assert wanted not in one.owned
        assert wanted not in one.revoking
        await ledger.share_out(two, one)
        assert wanted in two.owned
        assert (await ledger.positions())[wanted] == end

    async def test_a_waiting_read_returns_when_another_wants_a_partition(
        self, ledger: Ledger
    ) -> None:
        await ledger.declare(partitions=2)
        one = await ledger.owner()
        reading = asyncio.create_task(one.read(10, wait=1000 * ledger.tick))
        await ledger.pause()
        two = await ledger.join()
        await two.read(0, wait=ledger.patience)
        async with asyncio.timeout(PROMPT):
            assert not await reading
        assert one.revoking

    async def test_a_waiting_read_returns_when_it_is_given_a_partition(
        self, ledger: Ledger
    ) -> None:
        await ledger.declare(partitions=1)
        one, two = await ledger.owner(), await ledger.join()
        await two.read(0, wait=ledger.patience)
        reading = asyncio.create_task(two.read(10, wait=1000 * ledger.tick))
        await ledger.pause()
        await one.aclose()
        async with asyncio.timeout(PROMPT):
            assert not await reading
        assert set(two.owned) == {0}

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
        await fill(ledger, 60)
        member = await ledger.owner()
        seen = set[int]()
        for _ in range(6):
            seen |= {record.partition for record in await member.read(3, wait=ledger.patience)}
        assert seen == {0, 1, 2}

    async def test_a_member_reads_each_partition_in_order(self, ledger: Ledger) -> None:
        await ledger.declare(partitions=3)
        await fill(ledger, 60)
        member = await ledger.owner()
        found = await ledger.drink(member)
        for partition in range(3):
            offsets = [record.offset for record in found if record.partition == partition]
            assert offsets == sorted(set(offsets))
            assert len(offsets) == len(await ledger.read(partition))

    async def test_a_waiting_member_wakes_when_something_is_appended(self, ledger: Ledger) -> None:
        await ledger.declare()
        member = await ledger.owner()
        reading = asyncio.create_task(member.read(10, wait=1000 * ledger.tick))
        await ledger.pause()
        await ledger.append("a")
        async with asyncio.timeout(PROMPT):
            assert texts(await reading) == ["a"]

    async def test_a_waiting_member_returns_once_the_wait_is_over(self, ledger: Ledger) -> None:
        await ledger.declare()
        member = await ledger.owner()
        reading = asyncio.create_task(member.read(10, wait=5 * ledger.tick))
        await ledger.pause()
        await ledger.elapse(4)
        assert not reading.done()
        await ledger.elapse(2)
        async with asyncio.timeout(PROMPT):
            assert not await reading

    async def test_a_cancelled_read_loses_nothing(self, ledger: Ledger) -> None:
        await ledger.declare()
        member = await ledger.owner()
        reading = asyncio.create_task(member.read(10, wait=1000 * ledger.tick))
        await ledger.pause()
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
        await ledger.append("a")
        assert texts(await ledger.drink(member)) == ["a"]

    # --- sessions

    async def test_a_silent_members_partitions_are_taken_over(self, ledger: Ledger) -> None:
        await ledger.declare(partitions=2)
        await fill(ledger)
        former, other = await fenced(ledger)
        assert sorted(texts(await ledger.drink(other))) == sorted(f"r{n}" for n in range(20))
        with pytest.raises(LeaseLostError) as caught:
            await former.commit({0: 1})
        assert caught.value.lost == (0,)

    async def test_a_member_keeps_its_own_for_a_session(self, ledger: Ledger) -> None:
        await ledger.declare()
        member, other = await ledger.owner(), await ledger.join()
        await ledger.elapse(SESSION * 0.8)
        await other.read(0, wait=ledger.patience)
        assert not other.owned
        await member.commit({0: 0})

    async def test_reading_nothing_keeps_the_membership(self, ledger: Ledger) -> None:
        await ledger.declare()
        member, other = await ledger.owner(), await ledger.join()
        for _ in range(8):
            await ledger.elapse(SESSION / 3)
            assert not await member.read(0, wait=0)
            await other.read(0, wait=0)
        assert set(member.owned) == {0}
        assert not other.owned

    async def test_a_waiting_member_takes_over_by_itself(self, ledger: Ledger) -> None:
        await ledger.declare()
        await ledger.append("a")
        await ledger.owner()
        other = await ledger.join()
        await other.read(0, wait=ledger.patience)
        reading = asyncio.create_task(other.read(10, wait=1000 * ledger.tick))
        await ledger.pause()
        for _ in range(12):
            await ledger.elapse(SESSION / 10)
            await ledger.pause()
        async with asyncio.timeout(PROMPT):
            records = [*await reading]
            while not records:
                records += await other.read(10, wait=ledger.patience)
        assert texts(records) == ["a"]

    async def test_who_comes_back_after_its_session_reads_again(self, ledger: Ledger) -> None:
        await ledger.declare(partitions=2)
        former, other = await fenced(ledger)
        await ledger.share_out(former, other)
        assert (len(former.owned), len(other.owned)) == (1, 1)
        await former.commit(dict.fromkeys(former.owned, 0))

    # --- committing

    async def test_what_is_committed_is_where_the_group_goes_on(self, ledger: Ledger) -> None:
        await ledger.declare(partitions=2)
        await fill(ledger)
        member = await ledger.owner()
        await member.commit({0: 3})
        await member.commit({1: 2})
        await member.commit({0: 4})
        assert await ledger.positions() == {0: 4, 1: 2}

    async def test_nothing_is_set_if_one_partition_is_lost(self, ledger: Ledger) -> None:
        await ledger.declare(partitions=2)
        await fill(ledger)
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
        reading = asyncio.create_task(member.read(10, wait=1000 * ledger.tick))
        await ledger.pause()
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
        sent = await fill(ledger)
        member = await ledger.owner()
        await ledger.drink(member)
        former = dict(member.owned)
        first = await ledger.engine_log.offsets(ledger.log, at="first")
        await ledger.engine_log.seek(ledger.log, ledger.group, first)
        with pytest.raises(LeaseLostError):
            await member.commit({0: await ledger.end(0)})
        assert await ledger.positions() == first
        assert sorted(texts(await ledger.drink(member))) == sorted(sent)
        assert all(member.owned[partition] > former[partition] for partition in former)
        await member.commit({0: await ledger.end(0)})

    async def test_seeking_leaves_other_partitions_and_groups(self, ledger: Ledger) -> None:
        await ledger.declare(partitions=2)
        await fill(ledger)
        member, other = await ledger.owner(), await ledger.join(f"other-{ledger.name}")
        await ledger.drink(member)
        await ledger.drink(other)
        await ledger.engine_log.seek(ledger.log, ledger.group, {0: 0})
        await member.commit({1: 2})
        await other.commit({0: 3})
        assert {record.partition for record in await ledger.drink(member)} == {0}
        assert not await ledger.drink(other)
