"""What a stream promises, on memory and virtual time."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from pydantic import BaseModel

from isthmus import App, ConfigError, SchemaError
from isthmus.contracts import partition_of
from isthmus.errors import NotFoundError
from isthmus.streams import DeclaredStream, Recorded


class Entry(msgspec.Struct, frozen=True):
    account: str
    amount: int = 1


@pytest.fixture
def app() -> App:
    return App("shop")


async def test_records_of_one_key_are_read_in_their_order(app: App) -> None:
    ledger = app.stream("ledger", Entry, key="account")
    async with app.test():
        await ledger.append(*[Entry(f"acc-{n % 3}", n) for n in range(30)])
        read = [entry async for entry in ledger.read()]
        assert len(read) == 30
        for account in ("acc-0", "acc-1", "acc-2"):
            amounts = [entry.amount for entry in read if entry.account == account]
            assert amounts == sorted(amounts)


async def test_a_record_lies_in_the_partition_of_its_key(app: App) -> None:
    ledger = app.stream("ledger", Entry, key=lambda entry: entry.account, partitions=4)
    async with app.test():
        await ledger.append(Entry("acc-1"))
        (found,) = [each async for each in ledger.records()]
        assert (found.key, found.partition) == ("acc-1", partition_of("acc-1", 4))


async def test_a_record_has_its_place_its_id_and_its_moment(app: App) -> None:
    ledger = app.stream("ledger", Entry, partitions=1)
    async with app.test() as t:
        (first,) = await ledger.append(Entry("acc-1"), key="k", headers={"x": "1"})
        found = [each async for each in ledger.records()]
        assert found == [
            Recorded(
                value=Entry("acc-1"),
                id=first,
                key="k",
                partition=0,
                offset=0,
                at=t.clock.now(),
                headers={"x": "1"},
            )
        ]


async def test_reading_begins_at_a_moment(app: App) -> None:
    ledger = app.stream("ledger", Entry, key="account")
    async with app.test() as t:
        await ledger.append(*[Entry(f"acc-{n}", 1) for n in range(5)])
        await t.advance(60)
        since = datetime.fromtimestamp(t.clock.now(), UTC)
        await ledger.append(*[Entry(f"acc-{n}", 2) for n in range(5)])
        assert [entry.amount async for entry in ledger.read(since=since)] == [2] * 5
        earlier = since - timedelta(seconds=61)
        assert len([entry async for entry in ledger.read(since=earlier)]) == 10


async def test_reading_begins_at_an_offset(app: App) -> None:
    ledger = app.stream("ledger", Entry, partitions=2)
    async with app.test():
        await ledger.append(*[Entry("", n) for n in range(5)], key="a")
        of = partition_of("a", 2)
        assert [e.amount async for e in ledger.read(offset=3, partition=of)] == [3, 4]
        assert [e.amount async for e in ledger.read(offset={of: 4})] == [4]
        assert [e.amount async for e in ledger.read(partition=1 - of)] == []


async def test_partitions_are_read_together_by_time(app: App) -> None:
    ledger = app.stream("ledger", Entry, key="account")
    async with app.test() as t:
        for n in range(20):
            await ledger.append(Entry(f"acc-{n}", n))
            await t.advance(1)
        assert [entry.amount async for entry in ledger.read()] == list(range(20))


async def test_one_key_can_be_read_alone(app: App) -> None:
    ledger = app.stream("ledger", Entry, key="account", partitions=1)
    async with app.test():
        await ledger.append(*[Entry(f"acc-{n % 2}", n) for n in range(6)])
        assert [entry.amount async for entry in ledger.read(key="acc-1")] == [1, 3, 5]


async def test_a_follower_reads_what_is_and_what_comes(app: App) -> None:
    ledger = app.stream("ledger", Entry, key="account")
    async with app.test():
        await ledger.append(Entry("acc-1", 1))
        entries = ledger.read(follow=True)
        assert (await anext(entries)).amount == 1
        await ledger.append(Entry("acc-2", 2))
        assert (await anext(entries)).amount == 2
        await entries.aclose()


async def test_what_is_read_is_not_used_up(app: App) -> None:
    ledger = app.stream("ledger", Entry)
    async with app.test():
        await ledger.append(Entry("acc-1"))
        for _ in range(2):
            assert [entry async for entry in ledger.read()] == [Entry("acc-1")]


async def test_records_appended_in_a_transaction_appear_with_it(app: App) -> None:
    ledger = app.stream("ledger", Entry)
    async with app.test():
        async with app.transaction():
            await ledger.append(Entry("acc-1"))
            assert [entry async for entry in ledger.read()] == []
        assert [entry async for entry in ledger.read()] == [Entry("acc-1")]


async def test_records_of_a_transaction_that_fails_never_appear(app: App) -> None:
    ledger = app.stream("ledger", Entry)
    async with app.test():
        with pytest.raises(ValueError, match="no"):
            async with app.transaction():
                await ledger.append(Entry("acc-1"))
                raise ValueError("no")
        assert [entry async for entry in ledger.read()] == []


async def test_many_are_appended_in_their_order(app: App) -> None:
    ledger = app.stream("ledger", Entry, key="account", partitions=1)
    async with app.test():
        assert await ledger.append_many(Entry("a", n) for n in range(2500)) == 2500
        assert [entry.amount async for entry in ledger.read()] == list(range(2500))


async def test_retention_by_time_drops_what_is_older(app: App) -> None:
    ledger = app.stream("ledger", Entry, retention=timedelta(hours=1))
    async with app.test() as t:
        await ledger.append(Entry("old"))
        await t.advance(3000)
        await ledger.append(Entry("new"))
        await t.advance(700)
        assert [entry.account async for entry in ledger.read()] == ["new"]


async def test_retention_by_size_keeps_the_newest(app: App) -> None:
    ledger = app.stream("ledger", Entry, partitions=1, max_bytes=200)
    async with app.test() as t:
        await ledger.append(*[Entry("a", n) for n in range(100)])
        await t.advance(10)
        kept = [entry.amount async for entry in ledger.read()]
        assert kept == list(range(100 - len(kept), 100))
        assert 0 < len(kept) < 20


async def test_compaction_keeps_the_newest_of_each_key(app: App) -> None:
    ledger = app.stream("ledger", Entry, key="account", compaction=True)
    async with app.test() as t:
        await ledger.append(*[Entry(f"acc-{n % 3}", n) for n in range(30)])
        await t.advance(10)
        left = {entry.account: entry.amount async for entry in ledger.read()}
        assert left == {"acc-0": 27, "acc-1": 28, "acc-2": 29}


async def test_trimming_drops_what_is_below(app: App) -> None:
    ledger = app.stream("ledger", Entry, partitions=1)
    async with app.test():
        await ledger.append(*[Entry("a", n) for n in range(5)])
        await ledger.trim({0: 3})
        assert [entry.amount async for entry in ledger.read()] == [3, 4]


async def test_a_value_of_another_type_is_refused(app: App) -> None:
    ledger = app.stream("ledger", Entry)
    async with app.test():
        with pytest.raises(SchemaError):
            await ledger.append("acc-1")  # pyright: ignore[reportArgumentType]
        assert [entry async for entry in ledger.read()] == []


async def test_what_cannot_be_read_says_where_it_lies(app: App) -> None:
    ledger = app.stream("ledger", Entry, partitions=1)
    async with app.test() as t:
        await ledger.append(Entry("fine"))
        (record,) = await t.host.log.read("ledger", 0, offset=0, limit=1)
        await t.host.log.append("ledger", [msgspec.structs.replace(record.message, body=b"{")])
        with pytest.raises(SchemaError, match="partition 0, offset 1"):
            _ = [entry async for entry in ledger.read()]


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"since": 0.0, "offset": {0: 1}}, "not from both"),
        ({"offset": 3}, "of which partition"),
        ({"since": datetime(2026, 1, 1)}, "no time zone"),  # noqa: DTZ001
    ],
)
async def test_a_place_that_makes_no_sense_is_refused(
    app: App, asked: dict[str, object], told: str
) -> None:
    ledger = app.stream("ledger", Entry)
    async with app.test():
        with pytest.raises(ConfigError, match=told):
            _ = [entry async for entry in ledger.read(**asked)]  # pyright: ignore[reportArgumentType]


async def test_an_unknown_partition_is_named(app: App) -> None:
    ledger = app.stream("ledger", Entry, partitions=2)
    async with app.test():
        with pytest.raises(NotFoundError, match="partitions 0 to 1, not 7"):
            _ = [entry async for entry in ledger.read(partition=7)]


def test_limits_are_above_zero(app: App) -> None:
    with pytest.raises(ConfigError, match="partitions=0"):
        app.stream("ledger", Entry, partitions=0)
    with pytest.raises(ConfigError, match="retention=0"):
        app.stream("journal", Entry, retention=0)


async def test_an_id_is_for_one_value(app: App) -> None:
    ledger = app.stream("ledger", Entry)
    async with app.test():
        with pytest.raises(ConfigError, match="for one value, got 2"):
            await ledger.append(Entry("a"), Entry("b"), id="1")


def test_a_stream_is_part_of_the_declared_model(app: App) -> None:
    app.stream("ledger", Entry, partitions=3, retention=timedelta(days=30), compaction=True)
    (found,) = app.describe().of(DeclaredStream)
    assert (found.name, found.partitions, found.retention) == ("ledger", 3, 30 * 86400.0)
    assert found.compaction


@dataclass
class Noted:
    account: str

    @property
    def bank(self) -> str:
        return self.account[:3]


class Checked(BaseModel):
    account: str


@pytest.mark.parametrize("payload", [Entry, Noted, Checked, Entry | Checked])
def test_a_key_that_no_record_has_is_refused_when_it_is_declared(app: App, payload: Any) -> None:
    app.stream("ledger", payload, key="account")
    with pytest.raises(ConfigError, match=r"key='acount': .* has no attribute .*account"):
        app.stream("other", payload, key="acount")


def test_a_key_may_be_a_property(app: App) -> None:
    app.stream("ledger", Noted, key="bank")


async def test_an_unknown_group_cannot_be_sought(app: App) -> None:
    ledger = app.stream("ledger", Entry)

    @ledger.group("balances")
    async def post(entry: Entry) -> None: ...

    async with app.test():
        with pytest.raises(NotFoundError, match="no group 'balance'; known are: balances"):
            await ledger.seek("balance", "start")
        assert await ledger.groups() == ["balances"]
