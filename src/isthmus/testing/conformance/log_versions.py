"""What `declare(versioned=True)` promises: a key is a stream of its own."""

import asyncio

import pytest

from isthmus.contracts import Record
from isthmus.errors import ConflictError, UnsupportedError
from isthmus.message import Message
from isthmus.testing.conformance.ledger import Ledger, LogTests, texts

__all__ = ["VersionTests"]


def versions(records: list[Record]) -> list[int]:
    return [record.version for record in records]


class VersionTests(LogTests):
    async def test_versions_are_refused_where_there_are_none(self, ledger: Ledger) -> None:
        if ledger.able.versioned:
            pytest.skip("versions are honoured")
        with pytest.raises(UnsupportedError, match="versioned"):
            await ledger.declare(versioned=True)
        await ledger.declare()
        with pytest.raises(UnsupportedError, match="versioned"):
            await ledger.append("a", key="k", expected={"k": 0})
        with pytest.raises(UnsupportedError, match="versioned"):
            await ledger.history("k")

    async def test_a_keys_records_are_numbered_from_1(self, ledger: Ledger) -> None:
        await ledger.declare_versioned()
        await ledger.append("a1", "a2", key="a")
        await ledger.append("b1", key="b")
        await ledger.append("a3", key="a")
        found = {record.message.body: record.version for record in await ledger.read()}
        assert found == {b"a1": 1, b"a2": 2, b"b1": 1, b"a3": 3}

    async def test_history_is_one_key_oldest_first(self, ledger: Ledger) -> None:
        await ledger.declare_versioned(partitions=2)
        for number in range(3):
            for key in "ab":
                await ledger.append(f"{key}{number}", key=key)
        records = list(await ledger.history("a"))
        assert (texts(records), versions(records)) == (["a0", "a1", "a2"], [1, 2, 3])
        read = await ledger.read(records[0].partition)
        assert records == [record for record in read if record.message.key == "a"]

    async def test_history_starts_above_after_and_ends_at_its_limit(self, ledger: Ledger) -> None:
        await ledger.declare_versioned()
        await ledger.append(*"abcde", key="k")
        assert texts(await ledger.history("k", after=2)) == ["c", "d", "e"]
        assert texts(await ledger.history("k", limit=2)) == ["a", "b"]
        assert texts(await ledger.history("k", after=1, limit=2)) == ["b", "c"]
        assert not await ledger.history("k", after=5)

    async def test_an_unknown_key_has_no_history(self, ledger: Ledger) -> None:
        await ledger.declare_versioned()
        await ledger.append("a", key="k")
        assert not await ledger.history("other")

    async def test_the_expected_version_lets_an_append_pass(self, ledger: Ledger) -> None:
        await ledger.declare_versioned()
        await ledger.append("a", "b", key="k", expected={"k": 0})
        await ledger.append("c", key="k", expected={"k": 2})
        assert texts(await ledger.history("k")) == ["a", "b", "c"]

    @pytest.mark.parametrize("expected", [0, 1, 3])
    async def test_another_version_is_a_conflict_and_nothing_is_added(
        self, ledger: Ledger, expected: int
    ) -> None:
        await ledger.declare_versioned()
        await ledger.append("a", "b", key="k")
        with pytest.raises(ConflictError) as caught:
            await ledger.append("c", key="k", expected={"k": expected})
        assert caught.value.subject == f"{ledger.log}/k"
        assert texts(await ledger.read()) == ["a", "b"]

    async def test_every_expected_key_is_looked_at(self, ledger: Ledger) -> None:
        await ledger.declare_versioned(partitions=2)
        await ledger.append("a", key="a")
        messages = [Message(key="b", body=b"b"), Message(key="a", body=b"a2")]
        for wrong in ({"a": 0, "b": 0}, {"b": 0, "a": 2}, {"b": 1, "a": 1}, {"c": 1}):
            with pytest.raises(ConflictError):
                await ledger.engine_log.append(ledger.log, messages, expected=wrong)
        assert not await ledger.history("b")
        await ledger.engine_log.append(ledger.log, messages, expected={"a": 1, "b": 0, "c": 0})
        assert texts(await ledger.history("a")) == ["a", "a2"]

    async def test_one_of_many_who_expect_the_same_wins(self, ledger: Ledger) -> None:
        await ledger.declare_versioned()
        await ledger.append("first", key="k")
        results = await asyncio.gather(
            *(ledger.append(str(n), key="k", expected={"k": 1}) for n in range(10)),
            return_exceptions=True,
        )
        assert sum(isinstance(result, ConflictError) for result in results) == 9
        assert versions(list(await ledger.history("k"))) == [1, 2]

    async def test_a_keys_records_stay_whole_among_other_writers(self, ledger: Ledger) -> None:
        await ledger.declare_versioned()
        await asyncio.gather(*(ledger.append(f"{n}a", f"{n}b", key="k") for n in range(20)))
        history = texts(await ledger.history("k"))
        assert all(a[:-1] == b[:-1] for a, b in zip(history[::2], history[1::2], strict=True))
        assert versions(list(await ledger.history("k"))) == list(range(1, 41))

    async def test_versions_go_on_though_records_were_dropped(self, ledger: Ledger) -> None:
        await ledger.declare_versioned()
        await ledger.append("a", "b", key="k")
        await ledger.engine_log.trim(ledger.log, {0: await ledger.end()})
        with pytest.raises(ConflictError):
            await ledger.append("c", key="k", expected={"k": 0})
        await ledger.append("c", key="k", expected={"k": 2})
        assert versions(list(await ledger.history("k"))) == [3]
