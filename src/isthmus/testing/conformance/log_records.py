"""Appending records and reading them, by offset and by moment."""

import asyncio

import pytest

from isthmus.errors import ConfigError, NotFoundError, UnsupportedError
from isthmus.message import Message
from isthmus.testing.conformance.ledger import Ledger, LogTests, texts
from isthmus.testing.conformance.wiring import PROMPT

__all__ = ["RecordTests"]

MILLISECOND = 0.001
"""Most that a moment may be rounded by."""


class RecordTests(LogTests):
    async def test_a_log_must_be_declared_to_be_appended_to(self, ledger: Ledger) -> None:
        with pytest.raises(NotFoundError, match=ledger.log):
            await ledger.append("a")

    async def test_declaring_again_keeps_the_records(self, ledger: Ledger) -> None:
        await ledger.declare(partitions=2)
        await ledger.append("a", key="k")
        await ledger.declare(partitions=2)
        assert texts([*await ledger.read(0), *await ledger.read(1)]) == ["a"]

    async def test_a_log_keeps_its_partitions_and_versions(self, ledger: Ledger) -> None:
        await ledger.declare(partitions=2)
        with pytest.raises(ConfigError, match=ledger.log):
            await ledger.declare(partitions=3)
        if ledger.able.versioned:
            with pytest.raises(ConfigError, match=ledger.log):
                await ledger.declare(partitions=2, versioned=True)

    async def test_declared_logs_are_listed(self, ledger: Ledger) -> None:
        await ledger.declare()
        found = await ledger.engine_log.logs()
        assert found.count(ledger.log) == 1
        assert f"no-{ledger.log}" not in found

    async def test_records_are_read_in_the_order_they_were_appended(self, ledger: Ledger) -> None:
        await ledger.declare()
        await ledger.append("a", "b")
        await ledger.append("c")
        records = await ledger.read()
        assert texts(records) == ["a", "b", "c"]
        offsets = [record.offset for record in records]
        assert offsets == sorted(set(offsets))

    async def test_a_record_is_read_as_it_was_appended(self, ledger: Ledger) -> None:
        await ledger.declare()
        sent = Message(
            body=bytes(range(256)),
            id=f"id/é-{ledger.name}",
            type="shop.entry",
            source="shop",
            subject="42",
            time=1_700_000_000.125,
            dataschema="schema:shop.entry/2",
            datacontenttype="application/octet-stream",
            key="account ß",
            priority=3,
            expires_at=4_000_000_000.5,
            headers={"traceparent": "00-1-2-01", "näme": "välue ☂", "empty": ""},
        )
        await ledger.engine_log.append(ledger.log, [sent, Message(id="bare")])
        record, bare = await ledger.read()
        assert record.message == sent
        assert (record.partition, record.version) == (0, 0)
        assert bare.message == Message(id="bare")

    async def test_a_record_tells_when_it_was_appended(self, ledger: Ledger) -> None:
        await ledger.declare()
        before = ledger.clock.now()
        await ledger.append("a")
        (record,) = await ledger.read()
        assert before - MILLISECOND <= record.at <= ledger.clock.now() + MILLISECOND

    async def test_records_of_one_key_share_a_partition(self, ledger: Ledger) -> None:
        await ledger.declare(partitions=4)
        for number in range(5):
            for key in "abcdefgh":
                await ledger.append(f"{key}{number}", key=key)
        read = [await ledger.read(partition) for partition in range(4)]
        assert sum(map(len, read)) == 40
        for key in "abcdefgh":
            (places,) = [p for p in read if any(record.message.key == key for record in p)]
            mine = [record for record in places if record.message.key == key]
            assert texts(mine) == [f"{key}{number}" for number in range(5)]
        for partition, records in enumerate(read):
            assert all(record.partition == partition for record in records)

    async def test_a_batch_may_span_keys(self, ledger: Ledger) -> None:
        await ledger.declare(partitions=3)
        messages = [Message(key=str(n % 7), body=str(n).encode()) for n in range(70)]
        await ledger.engine_log.append(ledger.log, messages)
        read = [record for p in range(3) for record in await ledger.read(p)]
        for key in map(str, range(7)):
            mine = [int(r.message.body) for r in read if r.message.key == key]
            assert mine == list(range(int(key), 70, 7))

    async def test_logs_are_apart(self, ledger: Ledger) -> None:
        other = await ledger.another()
        other.name = f"other-{ledger.name}"
        await ledger.declare()
        await other.declare()
        await ledger.append("here")
        await other.append("there")
        assert texts(await ledger.read()) == ["here"]
        assert texts(await other.read()) == ["there"]

    async def test_names_may_hold_anything(self, ledger: Ledger) -> None:
        ledger.name = f"l'e\"d;%s ☂ {ledger.name}"
        await ledger.declare()
        await ledger.append("a", key="k'e\"y ☂")
        member = await ledger.join()
        assert texts(await ledger.drink(member)) == ["a"]

    async def test_an_empty_batch_adds_nothing(self, ledger: Ledger) -> None:
        await ledger.declare()
        await ledger.append()
        assert not await ledger.read()

    async def test_a_body_beyond_max_body_is_refused_and_nothing_is_added(
        self, ledger: Ledger
    ) -> None:
        if ledger.able.max_body > 2**26:
            pytest.skip("max_body is beyond what a test should send")
        await ledger.declare()
        large = Message(body=b"x" * (ledger.able.max_body + 1))
        with pytest.raises(ConfigError, match=str(ledger.able.max_body)):
            await ledger.engine_log.append(ledger.log, [Message(body=b"small"), large])
        assert not await ledger.read()

    async def test_many_tasks_may_append_at_once(self, ledger: Ledger) -> None:
        await ledger.declare(partitions=2)
        await asyncio.gather(*(ledger.append(f"{n}a", f"{n}b", key=str(n)) for n in range(40)))
        read = texts([*await ledger.read(0), *await ledger.read(1)])
        assert sorted(read) == sorted(f"{n}{part}" for n in range(40) for part in "ab")
        assert all(read.index(f"{n}a") < read.index(f"{n}b") for n in range(40))

    # --- reading

    async def test_reading_starts_at_the_offset(self, ledger: Ledger) -> None:
        await ledger.declare()
        await ledger.append("a", "b", "c")
        second = (await ledger.read())[1].offset
        assert texts(await ledger.read(offset=second)) == ["b", "c"]
        assert texts(await ledger.read(offset=second + 1)) == ["c"]

    async def test_reading_gives_at_most_its_limit(self, ledger: Ledger) -> None:
        await ledger.declare()
        await ledger.append("a", "b", "c")
        found = await ledger.engine_log.read(ledger.log, 0, offset=0, limit=2, wait=ledger.patience)
        assert texts(found) == ["a", "b"][: len(found)]
        assert found

    async def test_beyond_the_end_there_is_nothing(self, ledger: Ledger) -> None:
        await ledger.declare()
        await ledger.append("a")
        assert not await ledger.read(offset=await ledger.end())

    async def test_reading_changes_nothing(self, ledger: Ledger) -> None:
        await ledger.declare()
        await ledger.append("a", "b")
        assert await ledger.read() == await ledger.read()

    async def test_a_waiting_read_wakes_when_something_is_appended(self, ledger: Ledger) -> None:
        await ledger.declare()
        reading = await ledger.start(
            ledger.engine_log.read(ledger.log, 0, offset=0, limit=9, wait=1000 * ledger.tick)
        )
        await ledger.append("a")
        async with asyncio.timeout(PROMPT):
            assert texts(await reading) == ["a"]

    async def test_a_waiting_read_ends_with_its_wait(self, ledger: Ledger) -> None:
        await ledger.declare()
        reading = await ledger.start(
            ledger.engine_log.read(ledger.log, 0, offset=0, limit=9, wait=5 * ledger.tick)
        )
        await ledger.elapse(4)
        assert not reading.done()
        await ledger.elapse(2)
        async with asyncio.timeout(PROMPT):
            assert not await reading

    async def test_a_cancelled_read_leaves_the_log_usable(self, ledger: Ledger) -> None:
        await ledger.declare()
        reading = await ledger.start(
            ledger.engine_log.read(ledger.log, 0, offset=0, limit=9, wait=1000 * ledger.tick)
        )
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
        await ledger.append("a")
        assert texts(await ledger.read()) == ["a"]

    async def test_a_reader_passes_over_nothing_that_commits_later(self, ledger: Ledger) -> None:
        await ledger.declare()

        async def write(writer: int) -> None:
            for number in range(10):
                await ledger.append(*(f"{writer}/{number}/{n}" for n in range(writer % 3 + 1)))

        writing = asyncio.gather(*(write(writer) for writer in range(8)))
        followed: list[str] = []
        offset = 0
        while not writing.done() or offset < await ledger.end():
            for record in await ledger.engine_log.read(ledger.log, 0, offset=offset, limit=7):
                assert record.offset >= offset
                offset = record.offset + 1
                followed += texts([record])
            await asyncio.sleep(0)
        await writing
        assert followed == texts(await ledger.read())
        assert len(followed) == sum(10 * (writer % 3 + 1) for writer in range(8))

    # --- offsets

    async def test_an_empty_log_begins_where_it_ends(self, ledger: Ledger) -> None:
        await ledger.declare(partitions=3)
        first = await ledger.engine_log.offsets(ledger.log, at="first")
        end = await ledger.engine_log.offsets(ledger.log, at="end")
        assert set(first) == {0, 1, 2}
        assert first == end

    async def test_offsets_tell_the_first_and_the_next(self, ledger: Ledger) -> None:
        await ledger.declare()
        await ledger.append("a", "b")
        records = await ledger.read()
        assert await ledger.first() <= records[0].offset
        assert not await ledger.read(offset=await ledger.end())
        end = await ledger.end()
        await ledger.append("c")
        assert texts(await ledger.read(offset=end)) == ["c"]

    async def test_offsets_find_a_moment(self, ledger: Ledger) -> None:
        if not ledger.able.timed:
            pytest.skip("capability: timed")
        await ledger.declare()
        for text in "abc":
            await ledger.append(text)
            await ledger.elapse(10)
        records = await ledger.read()

        async def since(moment: float) -> list[str]:
            offsets = await ledger.engine_log.offsets(ledger.log, at=moment)
            return texts(await ledger.read(offset=offsets[0]))

        b_at = records[1].at
        assert await since(b_at) == ["b", "c"]
        assert await since(b_at + ledger.tick) == ["c"]
        assert await since(b_at - ledger.tick) == ["b", "c"]
        assert await since(0.0) == ["a", "b", "c"]
        assert await since(ledger.clock.now() + ledger.tick) == []

    async def test_a_moment_is_refused_where_it_is_unknown(self, ledger: Ledger) -> None:
        if ledger.able.timed:
            pytest.skip("moments are honoured")
        await ledger.declare()
        with pytest.raises(UnsupportedError, match="timed"):
            await ledger.engine_log.offsets(ledger.log, at=0.0)
