"""Entries: versioned, expiring, in spaces."""

import asyncio

import pytest

from isthmus.contracts import Entry, Put
from isthmus.errors import ConfigError, ConflictError
from isthmus.testing.conformance.shelf import Shelf, StoreTests

__all__ = ["EntryTests"]


class EntryTests(StoreTests):
    async def test_what_was_put_is_there(self, shelf: Shelf) -> None:
        value = bytes(range(256))
        await shelf.puts(Put("a", value), Put("b", b""))
        found = await shelf.store.get(shelf.space, ["a", "b", "absent"])
        assert found == {"a": Entry(value, 1), "b": Entry(b"", 1)}

    async def test_asking_for_nothing_gives_nothing(self, shelf: Shelf) -> None:
        await shelf.put("a", "1")
        await shelf.puts()
        assert await shelf.store.get(shelf.space, []) == {}

    async def test_every_put_is_a_version(self, shelf: Shelf) -> None:
        for version in (1, 2, 3):
            await shelf.put("a", "same")
            assert await shelf.version("a") == version
        await shelf.put("b", "1")
        assert (await shelf.version("a"), await shelf.version("b")) == (3, 1)

    async def test_a_space_is_apart_from_others(self, shelf: Shelf) -> None:
        await shelf.put("a", "here")
        await shelf.store.put(f"other-{shelf.name}", [Put("a", b"there"), Put("b", b"there")])
        assert await shelf.scan() == {"a": "here"}
        assert await shelf.values("a", "b") == {"a": "here"}

    async def test_names_may_hold_anything(self, shelf: Shelf) -> None:
        shelf.name = f"s'p\"a;%s ☂ {shelf.name}"
        await shelf.put("k'e\"y/☂", "1")
        assert await shelf.values("k'e\"y/☂") == {"k'e\"y/☂": "1"}
        assert await shelf.scan() == {"k'e\"y/☂": "1"}

    async def test_many_keys_are_got_and_put_at_once(self, shelf: Shelf) -> None:
        keys = [f"{number:05}" for number in range(2000)]
        await shelf.puts(*(Put(key, key.encode()) for key in keys))
        assert await shelf.values(*keys) == {key: key for key in keys}

    async def test_a_value_beyond_max_value_is_refused(self, shelf: Shelf) -> None:
        if shelf.able.max_value > 2**26:
            pytest.skip("max_value is beyond what a test should put")
        with pytest.raises(ConfigError, match=str(shelf.able.max_value)):
            await shelf.puts(Put("a", b"1"), Put("b", b"x" * (shelf.able.max_value + 1)))
        assert not await shelf.scan()

    # --- deleting

    async def test_none_deletes(self, shelf: Shelf) -> None:
        await shelf.put("a", "1")
        await shelf.put("a", None)
        assert await shelf.version("a") == 0
        assert not await shelf.scan()

    async def test_deleting_the_absent_does_nothing(self, shelf: Shelf) -> None:
        await shelf.put("a", None)
        assert await shelf.version("a") == 0

    async def test_what_was_deleted_begins_anew(self, shelf: Shelf) -> None:
        await shelf.put("a", "1")
        await shelf.put("a", "2")
        await shelf.put("a", None)
        await shelf.put("a", "3", if_version=0)
        assert await shelf.version("a") == 1

    # --- versions

    async def test_the_right_version_lets_a_put_pass(self, shelf: Shelf) -> None:
        await shelf.put("a", "1", if_version=0)
        await shelf.put("a", "2", if_version=1)
        await shelf.put("a", None, if_version=2)
        assert await shelf.version("a") == 0

    @pytest.mark.parametrize("version", [0, 1, 3])
    async def test_another_version_is_a_conflict(self, shelf: Shelf, version: int) -> None:
        await shelf.put("a", "1")
        await shelf.put("a", "2")
        for value in ("3", None):
            with pytest.raises(ConflictError) as caught:
                await shelf.put("a", value, if_version=version)
            assert caught.value.subject == f"{shelf.space}/a"
        assert await shelf.values("a") == {"a": "2"}

    async def test_a_version_of_the_absent_is_a_conflict(self, shelf: Shelf) -> None:
        with pytest.raises(ConflictError):
            await shelf.put("a", "1", if_version=1)
        assert not await shelf.scan()

    @pytest.mark.parametrize("order", [1, -1])
    async def test_all_or_none_is_put(self, shelf: Shelf, order: int) -> None:
        await shelf.put("taken", "1")
        puts = [Put("free", b"2", if_version=0), Put("taken", b"2", if_version=0), Put("x", b"2")]
        with pytest.raises(ConflictError) as caught:
            await shelf.puts(*puts[::order])
        assert caught.value.subject == f"{shelf.space}/taken"
        assert await shelf.scan() == {"taken": "1"}

    async def test_all_is_deleted_or_none(self, shelf: Shelf) -> None:
        await shelf.puts(Put("a", b"1"), Put("b", b"1"))
        with pytest.raises(ConflictError):
            await shelf.puts(Put("a", None), Put("b", None, if_version=7))
        assert await shelf.scan() == {"a": "1", "b": "1"}

    async def test_a_key_put_twice_in_a_call_is_put_in_turn(self, shelf: Shelf) -> None:
        with pytest.raises(ConflictError):
            await shelf.puts(Put("a", b"1", if_version=0), Put("a", b"2", if_version=0))
        assert not await shelf.scan()
        await shelf.puts(Put("a", b"1", if_version=0), Put("a", b"2", if_version=1))
        assert (await shelf.values("a"), await shelf.version("a")) == ({"a": "2"}, 2)

    async def test_of_many_who_ask_for_absence_one_wins(self, shelf: Shelf) -> None:
        results = await asyncio.gather(
            *(shelf.put("a", str(number), if_version=0) for number in range(20)),
            return_exceptions=True,
        )
        assert sum(isinstance(result, ConflictError) for result in results) == 19
        winner = results.index(None)
        assert await shelf.values("a") == {"a": str(winner)}

    async def test_a_conflict_is_nobody_elses(self, shelf: Shelf) -> None:
        await shelf.put("taken", "1")
        results = await asyncio.gather(
            shelf.put("a", "1"),
            shelf.put("taken", "2", if_version=0),
            shelf.put("b", "1"),
            return_exceptions=True,
        )
        assert [type(result) for result in results] == [type(None), ConflictError, type(None)]
        assert await shelf.scan() == {"a": "1", "b": "1", "taken": "1"}

    # --- expiry

    async def test_an_entry_is_there_for_its_ttl_and_then_gone(self, shelf: Shelf) -> None:
        await shelf.put("a", "1", ttl=10)
        await shelf.put("b", "1")
        await shelf.elapse(9.5)
        assert await shelf.scan() == {"a": "1", "b": "1"}
        await shelf.elapse(0.5)
        assert await shelf.values("a", "b") == {"b": "1"}
        assert await shelf.scan() == {"b": "1"}

    async def test_an_expired_entry_is_absent_and_begins_anew(self, shelf: Shelf) -> None:
        await shelf.put("a", "1", ttl=10)
        await shelf.put("a", "2", ttl=10)
        await shelf.elapse(10)
        with pytest.raises(ConflictError):
            await shelf.put("a", "3", if_version=2)
        await shelf.put("a", "3", if_version=0)
        assert await shelf.version("a") == 1
        await shelf.elapse(100)
        assert await shelf.values("a") == {"a": "3"}

    async def test_an_entry_that_lives_is_not_absent(self, shelf: Shelf) -> None:
        await shelf.put("a", "1", ttl=10)
        await shelf.elapse(9.5)
        with pytest.raises(ConflictError):
            await shelf.put("a", "2", if_version=0)

    async def test_the_last_put_decides_when_it_ends(self, shelf: Shelf) -> None:
        await shelf.put("a", "1", ttl=10)
        await shelf.put("a", "2")
        await shelf.put("b", "1")
        await shelf.put("b", "2", ttl=10)
        await shelf.elapse(10)
        assert await shelf.scan() == {"a": "2"}

    async def test_maintain_drops_the_expired_only(self, shelf: Shelf) -> None:
        while await shelf.store.maintain():
            pass
        await shelf.puts(
            Put("a", b"1", ttl=10 * shelf.tick),
            Put("b", b"1", ttl=10 * shelf.tick),
            Put("c", b"1", ttl=100 * shelf.tick),
            Put("d", b"1"),
        )
        assert shelf.went(await shelf.store.maintain(), 0)
        assert len(await shelf.scan()) == 4
        await shelf.elapse(10)
        assert shelf.went(await shelf.store.maintain(), 2)
        assert await shelf.scan() == {"c": "1", "d": "1"}

    # --- scanning

    async def test_a_scan_ascends_by_key(self, shelf: Shelf) -> None:
        keys = ["b", "a", "ab", "B", "é", "z", "1", "10", "2", "~"]
        await shelf.puts(*(Put(key, b"1") for key in keys))
        found = [key for key, _ in await shelf.store.scan(shelf.space)]
        assert found == sorted(keys)

    async def test_a_scan_goes_on_after_a_key(self, shelf: Shelf) -> None:
        await shelf.puts(*(Put(key, key.encode()) for key in "abcde"))
        assert list(await shelf.scan(limit=2)) == ["a", "b"]
        assert list(await shelf.scan(after="b", limit=2)) == ["c", "d"]
        assert list(await shelf.scan(after="bb")) == ["c", "d", "e"]
        assert not await shelf.scan(after="e")

    async def test_a_scan_tells_versions(self, shelf: Shelf) -> None:
        await shelf.put("a", "1")
        await shelf.put("a", "2")
        assert await shelf.store.scan(shelf.space) == [("a", Entry(b"2", 2))]

    # --- other openings

    async def test_another_opening_sees_the_same(self, shelf: Shelf) -> None:
        other = await shelf.another()
        assert other.able.scope == shelf.able.scope
        await shelf.put("a", "1")
        assert await other.values("a") == {"a": "1"}
        with pytest.raises(ConflictError):
            await other.put("a", "2", if_version=0)

    async def test_entries_outlive_the_engine(self, shelf: Shelf) -> None:
        if shelf.able.durable == "memory":
            pytest.skip("durable: memory")
        await shelf.put("a", "1")
        await shelf.put("b", "1", ttl=10)
        await shelf.engine.aclose()
        shelf = await shelf.another()
        assert await shelf.scan() == {"a": "1", "b": "1"}
        await shelf.elapse(10)
        assert await shelf.scan() == {"a": "1"}
