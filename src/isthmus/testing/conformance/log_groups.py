"""How a group shares out partitions: one owner at a time, until it leaves or falls silent."""

import asyncio

import pytest

from isthmus.errors import LeaseLostError
from isthmus.testing.conformance.ledger import SESSION, Ledger, LogTests, texts
from isthmus.testing.conformance.wiring import PROMPT

__all__ = ["GroupTests"]


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
        sent = await ledger.fill()
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
        sent = await ledger.fill()
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
        await ledger.fill()
        one, two = await ledger.owner(), await ledger.join()
        found = await ledger.ask_back(one, newcomer=two)
        assert one.revoking <= set(one.owned)
        assert all(record.partition not in one.revoking for record in found)
        assert not one.revoking & set(two.owned)

    async def test_what_is_revoked_can_still_be_committed(self, ledger: Ledger) -> None:
        await ledger.declare(partitions=2)
        await ledger.fill()
        one = await ledger.owner()
        await ledger.drink(one)
        two = await ledger.join()
        await ledger.ask_back(one, newcomer=two)
        ends = {wanted: await ledger.end(wanted) for wanted in one.revoking}
        await one.commit(ends)
        await one.release(list(ends))
        assert not ends.keys() & set(one.owned)
        assert not one.revoking
        await ledger.share_out(two, one)
        assert ends.keys() & set(two.owned)
        assert ends.items() <= (await ledger.positions()).items()

    async def test_a_waiting_read_returns_when_another_wants_a_partition(
        self, ledger: Ledger
    ) -> None:
        await ledger.declare(partitions=2)
        one = await ledger.owner()
        reading = await ledger.start(one.read(10, wait=1000 * ledger.tick))
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
        reading = await ledger.start(two.read(10, wait=1000 * ledger.tick))
        await one.aclose()
        async with asyncio.timeout(PROMPT):
            assert not await reading
        assert set(two.owned) == {0}

    # --- sessions

    async def test_a_silent_members_partitions_are_taken_over(self, ledger: Ledger) -> None:
        await ledger.declare(partitions=2)
        await ledger.fill()
        former, other = await ledger.fenced()
        assert sorted(texts(await ledger.drink(other))) == sorted(f"r{n}" for n in range(20))
        with pytest.raises(LeaseLostError) as caught:
            await former.commit({0: 1})
        assert caught.value.lost == (0,)

    async def test_a_member_keeps_its_own_for_a_session(self, ledger: Ledger) -> None:
        await ledger.declare()
        one, two = await ledger.owner(), await ledger.join()
        await ledger.share_out(one, two)
        owner, idle = (one, two) if one.owned else (two, one)
        await ledger.elapse(SESSION * 0.8)
        await idle.read(0, wait=ledger.patience)
        assert not idle.owned
        await owner.commit({0: 0})

    async def test_reading_nothing_keeps_the_membership(self, ledger: Ledger) -> None:
        await ledger.declare()
        member, other = await ledger.owner(), await ledger.join()
        await ledger.share_out(member, other)
        before = [dict(member.owned), dict(other.owned)]
        for _ in range(8):
            await ledger.elapse(SESSION / 3)
            assert not await member.read(0, wait=0)
            await other.read(0, wait=0)
        assert [dict(member.owned), dict(other.owned)] == before

    async def test_a_waiting_member_takes_over_by_itself(self, ledger: Ledger) -> None:
        await ledger.declare()
        await ledger.append("a")
        await ledger.owner()
        other = await ledger.join()
        await other.read(0, wait=ledger.patience)
        reading = await ledger.start(other.read(10, wait=1000 * ledger.tick))
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
        former, other = await ledger.fenced()
        await ledger.share_out(former, other)
        assert (len(former.owned), len(other.owned)) == (1, 1)
        await former.commit(dict.fromkeys(former.owned, 0))
