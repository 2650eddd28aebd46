"""What is kept can be read: as it was, from snapshots, by newer types, as one feed."""

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from tests.sourcing.bank import Account, Deposit, Deposited, Withdraw, Withdrawn

from isthmus import App, ConfigError, SchemaError, schema, upcaster
from isthmus.message import Message
from isthmus.sourcing import Aggregate

# --- time travel --------------------------------------------------------------------------------


async def test_the_state_at_a_version_is_what_it_was(url: str) -> None:
    app = App("bank", engine=url)
    accounts = app.aggregate("account", Account, snapshot_every=4)
    async with app:
        for amount in range(1, 11):
            await accounts.handle("acc-1", Deposit(amount))
        for version in range(12):
            last = min(version, 10)
            state = await accounts.load("acc-1", version=version)
            assert state == Account(last * (last + 1) // 2)


async def test_the_state_at_a_moment_is_what_it_was() -> None:
    app = App("bank")
    accounts = app.aggregate("account", Account, snapshot_every=1)
    async with app.test() as t:
        before = t.clock.now() - 1
        await accounts.handle("acc-1", Deposit(100))
        noon = datetime.fromtimestamp(t.clock.now(), UTC)
        await t.advance(3600)
        await accounts.handle("acc-1", Withdraw(30))
        assert await accounts.load("acc-1", at=before) == Account(0)
        assert await accounts.load("acc-1", at=noon) == Account(100)
        assert await accounts.load("acc-1", at=t.clock.now()) == Account(70)
        with pytest.raises(ConfigError, match="time zone"):
            await accounts.load("acc-1", at=datetime(2026, 1, 1))  # noqa: DTZ001


@pytest.mark.parametrize("count", [999, 1000, 1001, 2500])
async def test_long_histories_are_read_page_by_page(url: str, count: int) -> None:
    app = App("bank", engine=url)
    accounts = app.aggregate("account", Account, cache=0)
    async with app:
        async with app.transaction():
            for _ in range(count):
                await accounts.handle("acc-1", Deposit(1))
        assert await accounts.load("acc-1") == Account(count)
        assert await accounts.load("acc-1", version=count - 1) == Account(count - 1)
        assert len([each async for each in accounts.history("acc-1", after=5)]) == count - 5
        assert len([each async for each in accounts.read()]) == count


# --- snapshots ----------------------------------------------------------------------------------


async def test_a_snapshot_stands_for_what_is_before_it(url: str) -> None:
    app = App("bank", engine=url)
    accounts = app.aggregate("account", Account, snapshot_every=10)
    async with app:
        for _ in range(25):
            await accounts.handle("acc-1", Deposit(1))
        host = app.declarations.host
        (kept,) = await host.store.scan("snapshots/account")
        assert kept[1].version == 2
        other = App("bank", engine=url)
        again = other.aggregate("account", Picky, snapshot_every=10)
        async with other:
            assert await again.load("acc-1") == Picky(25)


class Picky(msgspec.Struct, frozen=True):
    """An account that cannot be made of its beginning: it needs the snapshot."""

    balance: int = 0

    def decide(self, command: Deposit) -> Sequence[Deposited]: ...

    def evolve(self, event: Deposited) -> "Picky":
        assert self.balance >= 20, "the snapshot was not used"
        return Picky(self.balance + event.amount)


Picky.__name__ = "Account"  # its snapshots are an Account's


class Ledger(msgspec.Struct, frozen=True):
    """What an account became: it has another field."""

    balance: int = 0
    count: int = 0

    def decide(self, command: Deposit) -> Sequence[Deposited]: ...

    def evolve(self, event: Deposited) -> "Ledger":
        return Ledger(self.balance + event.amount, self.count + 1)


Ledger.__name__ = "Account"


async def test_a_snapshot_of_other_fields_is_passed_over(url: str) -> None:
    app, newer = App("bank", engine=url), App("bank", engine=url)
    accounts = app.aggregate("account", Account, snapshot_every=2)
    ledgers = newer.aggregate("account", Ledger, snapshot_every=2)
    async with app, newer:
        for _ in range(3):
            await accounts.handle("acc-1", Deposit(5))
        assert await ledgers.load("acc-1") == Ledger(15, 3)


async def test_a_snapshot_of_a_transaction_that_is_undone_is_undone(url: str) -> None:
    app = App("bank", engine=url)
    accounts = app.aggregate("account", Account, snapshot_every=1)
    async with app:
        with pytest.raises(RuntimeError):
            async with app.transaction():
                await accounts.handle("acc-1", Deposit(5))
                raise RuntimeError
        assert await app.declarations.host.store.scan("snapshots/account") == []


# --- newer types --------------------------------------------------------------------------------


@schema("bank.credited", version=3)
class Credited(msgspec.Struct, frozen=True):
    cents: int
    currency: str


@upcaster("bank.credited", version=1)
def to_cents(old: dict[str, Any]) -> dict[str, Any]:
    return {"cents": old["amount"] * 100}


@upcaster("bank.credited", version=2)
def with_currency(old: dict[str, Any]) -> dict[str, Any]:
    return {**old, "currency": "EUR"}


class Purse(msgspec.Struct, frozen=True):
    cents: int = 0

    def decide(self, command: Deposit) -> Sequence[Credited]:
        return [Credited(command.amount, "USD")]

    def evolve(self, event: Credited) -> "Purse":
        return Purse(self.cents + event.cents)


async def append(app: App, log: str, *messages: Message) -> None:
    await app.declarations.host.log.append(log, messages)


def old(version: int, body: bytes) -> Message:
    of = f"schema:bank.credited/{version}"
    return Message(body=body, type="bank.credited", dataschema=of, key="p")


async def test_events_of_older_versions_are_led_up(url: str) -> None:
    app = App("bank", engine=url)
    purses = app.aggregate("purse", Purse)
    async with app:
        await append(app, "purse", old(1, b'{"amount":2}'), old(2, b'{"cents":50}'))
        await purses.handle("p", Deposit(5))
        assert await purses.load("p") == Purse(255)
        assert [each.value async for each in purses.history("p")] == [
            Credited(200, "EUR"),
            Credited(50, "EUR"),
            Credited(5, "USD"),
        ]


async def test_an_event_that_cannot_be_read_says_where_it_lies(url: str) -> None:
    app = App("bank", engine=url)
    accounts = app.aggregate("account", Account)
    async with app:
        await accounts.handle("acc-1", Deposit(1))
        await append(app, "account", Message(body=b'{"amount":"x"}', type="Deposited", key="acc-1"))
        with pytest.raises(SchemaError, match=r"event 2 of 'acc-1'.*amount"):
            await accounts.load("acc-1")
        with pytest.raises(SchemaError, match="event 2 of 'acc-1'"):
            await accounts.handle("acc-1", Deposit(1))


# --- the feed -----------------------------------------------------------------------------------


async def filled(accounts: Aggregate[Account], count: int, *, keys: int = 5) -> None:
    for number in range(count):
        await accounts.handle(f"acc-{number % keys}", Deposit(number + 1))


async def test_with_one_partition_the_feed_is_in_the_order_of_the_commits(url: str) -> None:
    app = App("bank", engine=url)
    accounts = app.aggregate("account", Account)
    async with app:
        await filled(accounts, 30)
        events = [event async for event in accounts.read()]
        assert [event.value for event in events] == [Deposited(n + 1) for n in range(30)]
        assert [event.offset for event in events] == sorted({event.offset for event in events})
        assert (events[7].key, events[7].version) == ("acc-2", 2)


async def test_with_several_partitions_each_aggregate_is_in_order_and_nothing_is_missed(
    url: str,
) -> None:
    app = App("bank", engine=url)
    accounts = app.aggregate("account", Account, partitions=4)
    async with app:
        await filled(accounts, 40)
        versions = dict[str, list[int]]()
        async for event in accounts.read():
            versions.setdefault(event.key, []).append(event.version)
        assert versions == {f"acc-{key}": list(range(1, 9)) for key in range(5)}


@pytest.mark.parametrize("partitions", [1, 3])
async def test_a_feed_goes_on_where_another_ended(url: str, partitions: int) -> None:
    app = App("bank", engine=url)
    accounts = app.aggregate("account", Account, partitions=partitions)
    async with app:
        await filled(accounts, 20)
        feed, seen = accounts.read(), list[Any]()
        async with aclosing(feed):
            async for event in feed:
                seen.append(event)
                if len(seen) == 7:
                    break
        seen += [event async for event in accounts.read(start=feed.position)]
        assert sorted(event.value.amount for event in seen) == list(range(1, 21))


@pytest.mark.parametrize("partitions", [1, 3])
async def test_who_follows_is_told_what_was_and_what_comes(url: str, partitions: int) -> None:
    app = App("bank", engine=url)
    accounts = app.aggregate("account", Account, partitions=partitions)
    async with app:
        await filled(accounts, 3)

        async def follow() -> list[int]:
            found = list[int]()
            async for event in accounts.read(follow=True):
                found.append(event.value.amount)
                if len(found) == 6:
                    break
            return found

        following = asyncio.create_task(follow())
        for amount in (4, 5, 6):
            await accounts.handle("acc-9", Deposit(amount))
        assert sorted(await asyncio.wait_for(following, 10)) == [1, 2, 3, 4, 5, 6]


async def test_a_feed_may_begin_at_a_moment_or_at_the_end() -> None:
    app = App("bank")
    accounts = app.aggregate("account", Account)
    async with app.test() as t:
        await accounts.handle("acc-1", Deposit(1))
        await t.advance(60)
        since = t.clock.now()
        await accounts.handle("acc-1", Withdraw(1))
        found = [event.value async for event in accounts.read(start=since)]
        assert found == [Withdrawn(1)]
        assert [event async for event in accounts.read(start="end")] == []
