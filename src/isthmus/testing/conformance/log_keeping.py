"""What a log lets go, and what outlives what."""

import asyncio
from typing import Any

import pytest

from isthmus.errors import UnsupportedError
from isthmus.message import Message
from isthmus.testing.conformance.ledger import Ledger, LogTests, texts
from isthmus.testing.conformance.wiring import PROMPT

__all__ = ["LogKeepingTests"]

MONTH = 30 * 24 * 3600.0


async def declare_limited(ledger: Ledger, **limits: Any) -> None:
    if not ledger.able.retention:
        pytest.skip("capability: retention")
    await ledger.declare(**limits)


async def declare_compacted(ledger: Ledger) -> None:
    if not ledger.able.compaction:
        pytest.skip("capability: compaction")
    await ledger.declare(compaction=True)


class LogKeepingTests(LogTests):
    # --- trimming

    async def test_trimming_drops_what_is_below(self, ledger: Ledger) -> None:
        await ledger.declare()
        await ledger.append("a", "b", "c")
        kept = (await ledger.read())[1:]
        await ledger.engine_log.trim(ledger.log, {0: kept[0].offset})
        assert await ledger.read() == kept
        assert await ledger.first() == kept[0].offset

    async def test_trimming_leaves_other_partitions(self, ledger: Ledger) -> None:
        await ledger.declare(partitions=2)
        for number in range(10):
            await ledger.append(str(number), key=str(number))
        kept = await ledger.read(1)
        await ledger.engine_log.trim(ledger.log, {0: await ledger.end(0)})
        assert not await ledger.read(0)
        assert await ledger.read(1) == kept

    async def test_offsets_are_never_given_twice(self, ledger: Ledger) -> None:
        await ledger.declare()
        await ledger.append("a", "b")
        end = await ledger.end()
        await ledger.engine_log.trim(ledger.log, {0: end})
        assert (await ledger.first(), await ledger.end()) == (end, end)
        await ledger.append("c")
        (record,) = await ledger.read()
        assert record.offset >= end

    async def test_a_group_behind_reads_on_at_the_first_that_is_left(self, ledger: Ledger) -> None:
        await ledger.declare()
        await ledger.append("a", "b", "c")
        member = await ledger.owner()
        await ledger.engine_log.trim(ledger.log, {0: (await ledger.read())[2].offset})
        fetched_ahead = ["a", "b", "c"]
        assert texts(await ledger.drink(member)) in (["c"], fetched_ahead)
        await member.aclose()
        assert texts(await ledger.drink(await ledger.join())) == ["c"]

    # --- retention

    async def test_limits_are_refused_where_there_are_none(self, ledger: Ledger) -> None:
        if ledger.able.retention:
            pytest.skip("retention is honoured")
        with pytest.raises(UnsupportedError, match="retention"):
            await ledger.declare(retention=60.0)
        with pytest.raises(UnsupportedError, match="retention"):
            await ledger.declare(max_bytes=60)

    async def test_retention_lets_the_old_go(self, ledger: Ledger) -> None:
        await declare_limited(ledger, retention=10 * ledger.tick)
        await ledger.append("old", "older")
        await ledger.elapse(6)
        await ledger.append("young")
        await ledger.maintain()
        assert texts(await ledger.read()) == ["old", "older", "young"]
        await ledger.elapse(6)
        assert await ledger.maintain() in {2, 0}
        assert texts(await ledger.read()) == ["young"]

    async def test_without_limits_everything_stays(self, ledger: Ledger) -> None:
        await ledger.declare()
        await ledger.append(*"abc")
        await ledger.append("k1", "k2", key="k")
        await ledger.elapse(20)
        assert ledger.went(await ledger.maintain(), 0)
        assert len(await ledger.read()) == 5

    async def test_max_bytes_lets_the_oldest_of_each_partition_go(self, ledger: Ledger) -> None:
        await declare_limited(ledger, partitions=2, max_bytes=200)
        for number in range(20):
            await ledger.append("x" * 49, key=str(number % 10))
        before = {partition: await ledger.read(partition) for partition in (0, 1)}
        gone = await ledger.maintain()
        for partition in (0, 1):
            left = await ledger.read(partition)
            assert left[-4:] == before[partition][-4:]
            if gone:  # an engine that does so by itself does it in its own time
                assert len(left) == 4

    async def test_limits_can_be_changed_and_lifted(self, ledger: Ledger) -> None:
        await declare_limited(ledger, retention=10 * ledger.tick)
        await ledger.append("a")
        await ledger.declare()
        await ledger.elapse(20)
        await ledger.maintain()
        assert texts(await ledger.read()) == ["a"]
        await ledger.declare(retention=15 * ledger.tick)
        await ledger.maintain()
        assert not await ledger.read()

    # --- compaction

    async def test_compaction_is_refused_where_there_is_none(self, ledger: Ledger) -> None:
        if ledger.able.compaction:
            pytest.skip("compaction is honoured")
        with pytest.raises(UnsupportedError, match="compaction"):
            await ledger.declare(compaction=True)

    async def test_compaction_keeps_the_newest_of_each_key(self, ledger: Ledger) -> None:
        await declare_compacted(ledger)
        for text in ("a1", "b1", "a2", "c1", "b2", "a3"):
            await ledger.append(text, key=text[0])
        before = await ledger.read()
        await ledger.elapse(1)
        gone = await ledger.maintain()
        left = await ledger.read()
        assert [text for text in texts(left) if text in {"c1", "b2", "a3"}] == ["c1", "b2", "a3"]
        assert all(record in before for record in left)
        if ledger.is_exact:
            assert (gone, texts(left)) == (3, ["c1", "b2", "a3"])

    async def test_compaction_leaves_those_without_a_key(self, ledger: Ledger) -> None:
        await declare_compacted(ledger)
        await ledger.append("x", "y", "z")
        assert ledger.went(await ledger.maintain(), 0)
        assert texts(await ledger.read()) == ["x", "y", "z"]

    async def test_a_tombstone_stays_for_a_while_and_goes_in_the_end(self, ledger: Ledger) -> None:
        if not ledger.is_exact:
            pytest.skip("nobody waits for a month")
        await declare_compacted(ledger)
        await ledger.append("a1", key="a")
        await ledger.append("b1", key="b")
        await ledger.engine_log.append(ledger.log, [Message(key="a")])
        await ledger.elapse(1)
        await ledger.maintain()
        assert texts(await ledger.read()) == ["b1", ""]
        await ledger.elapse(MONTH)
        await ledger.maintain()
        assert texts(await ledger.read()) == ["b1"]

    # --- other openings

    async def test_what_is_appended_elsewhere_wakes_a_waiting_read(self, ledger: Ledger) -> None:
        await ledger.declare()
        other = await ledger.another()
        reading = await ledger.start(
            ledger.engine_log.read(ledger.log, 0, offset=0, limit=9, wait=1000 * ledger.tick)
        )
        await other.append("a")
        async with asyncio.timeout(PROMPT):
            assert texts(await reading) == ["a"]

    async def test_members_of_two_openings_share_a_group(self, ledger: Ledger) -> None:
        await ledger.declare(partitions=2)
        other = await ledger.another()
        one, two = await ledger.join(), await other.join()
        await ledger.share_out(one, two)
        assert sorted([*one.owned, *two.owned]) == [0, 1]
        assert len(one.owned) == 1

    async def test_records_and_positions_outlive_the_engine(self, ledger: Ledger) -> None:
        if ledger.able.durable == "memory":
            pytest.skip("durable: memory")
        await ledger.declare(versioned=ledger.able.versioned)
        await ledger.append("a", "b", key="k")
        member = await ledger.owner()
        a, _ = await ledger.drink(member)
        await member.commit({0: a.offset + 1})
        before = await ledger.read()
        await ledger.engine.aclose()
        ledger = await ledger.another()
        assert await ledger.read() == before
        assert await ledger.positions() == {0: a.offset + 1}
        await ledger.elapse(20)
        assert texts(await ledger.drink(await ledger.join())) == ["b"]
        await ledger.append("c", key="k")
        assert [record.version for record in await ledger.read()] == [
            (n + 1) * ledger.able.versioned for n in range(3)
        ]
