"""What a projection promises: exact, in order, waiting at what fails, rebuilt online."""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import msgspec
import pytest
from tests.sourcing.bank import Account, Deposit, Deposited, Withdraw, Withdrawn
from tests.stores import Stores

from isthmus import App, ConfigError, Message, Module, Retry, Transaction
from isthmus.errors import NotFoundError, TimedOutError, UnsupportedError
from isthmus.handling.host import Host
from isthmus.handling.running.runtime import Runtime
from isthmus.handling.running.trial import Trial
from isthmus.sourcing import (
    DeclaredProjection,
    Documents,
    GenerationBegun,
    GenerationSwitched,
    Hit,
    Position,
    Projection,
    Recorded,
    SearchIndex,
    Table,
)
from isthmus.sourcing.standings import Standings

Event = Recorded[Deposited | Withdrawn]


class Balance(msgspec.Struct, frozen=True):
    amount: int
    events: int = 0


class Bank:
    """An App with one read model of each kind, in one projection."""

    def __init__(self) -> None:
        self.app = App("bank")
        self.accounts = self.app.aggregate("account", Account, partitions=2)
        self.table = Table(
            "balances", "account text primary key, amount integer not null", indexes=["amount"]
        )
        self.documents = Documents("profiles", Balance)
        self.index = SearchIndex("found", "account", "note")
        self.failing = set[str]()
        into = (self.table, self.documents, self.index)
        retry = Retry(1000, delay=1, factor=1, jitter="none")
        self.balances = self.app.projection("balances", self.accounts, into=into, retry=retry)(
            self.project
        )

    async def project(self, event: Event, tx: Transaction) -> None:
        if event.key in self.failing:
            raise ValueError("cannot cope")
        value = event.value
        amount = value.amount if isinstance(value, Deposited) else -value.amount
        await tx.execute(
            f"insert into {self.table} values (:account, :amount)"
            f" on conflict (account) do update set amount = {self.table}.amount + :amount",
            account=event.key,
            amount=amount,
        )
        now = await self.documents.change(
            event.key, lambda was: Balance((was.amount if was else 0) + amount, event.version)
        )
        await self.index.put(event.key, account=event.key, note=f"has {now.amount} euros")

    async def rows(self) -> dict[str, int]:
        """What any other program would read."""
        async with self.app.transaction() as tx:
            return dict(await tx.fetch("select account, amount from balances"))


async def shown(projection: Projection, t: Trial) -> None:
    """Let everything happen; a file's threads may need more time than a turn."""
    for _ in range(300):
        await t.settle()
        if not await projection.behind():
            return
    raise AssertionError("it never caught up")


async def test_read_models_show_what_happened(engine: str) -> None:
    bank = Bank()
    async with bank.app.test(engine=engine) as t:
        await bank.accounts.handle("acc-1", Deposit(100))
        await bank.accounts.handle("acc-2", Deposit(5))
        await bank.accounts.handle("acc-1", Withdraw(30))
        await shown(bank.balances, t)
        assert await bank.rows() == {"acc-1": 70, "acc-2": 5}
        assert await bank.documents.get("acc-1") == Balance(70, 2)
        assert await bank.documents.get("acc-3") is None
        assert [key for key, _ in await bank.documents.scan(after="acc-1")] == ["acc-2"]
        (hit,) = await bank.index.search("70 eur")
        assert hit == Hit("acc-1", {"account": "acc-1", "note": "has 70 euros"})
        assert len(await bank.index.search("acc", limit=5)) == 2
        assert await bank.index.search("100") == []
        assert await bank.index.search(' " * ') == ()


async def test_one_can_wait_for_ones_own_write(engine: str) -> None:
    bank = Bank()
    async with bank.app.test(engine=engine) as t:
        handled = await bank.accounts.handle("acc-1", Deposit(100))
        await shown(bank.balances, t)
        await bank.balances.caught_up(to=handled.position)
        await bank.balances.caught_up(to=Position.parse(str(handled.position)))
        await bank.balances.caught_up()
        assert await bank.balances.behind() == 0


async def test_without_waiting_for_time_on_memory() -> None:
    app, seen = App("bank"), list[int]()
    accounts = app.aggregate("account", Account)

    @app.projection("amounts", accounts)
    async def amounts(event: Deposited | Withdrawn) -> None:
        seen.append(event.amount)

    async with app.test():
        for amount in range(1, 20):
            handled = await accounts.handle(f"acc-{amount % 3}", Deposit(amount))
            await amounts.caught_up(to=handled.position)
            assert seen[-1] == amount


async def test_what_is_not_shown_in_time_is_an_error_that_says_how_far_it_is(engine: str) -> None:
    bank = Bank()
    bank.app.configure(engine=engine)
    async with bank.app:  # open, but nothing runs
        handled = await bank.accounts.handle("acc-1", Deposit(100))
        with pytest.raises(TimedOutError, match=r"does not show acc-1@1 .* 1 events behind"):
            await bank.balances.caught_up(to=handled.position, timeout=0.05)
        with pytest.raises(TimedOutError):
            await bank.balances.caught_up(timeout=0)
        with pytest.raises(TimedOutError):
            await bank.balances.caught_up(to=Position("acc-7", 1), timeout=0)
        await bank.balances.caught_up(to=Position("acc-7", 0), timeout=0)


async def test_what_fails_waits_with_its_aggregate_and_others_flow(engine: str) -> None:
    bank = Bank()
    async with bank.app.test(engine=engine) as t:
        bank.failing = {"acc-1"}
        for _ in range(3):
            for key in ("acc-1", "acc-2"):
                handled = await bank.accounts.handle(key, Deposit(10))
        await t.advance(5)
        assert await bank.rows() == {"acc-2": 30}
        assert await bank.balances.parked() == 3
        await bank.balances.caught_up(to=handled.position)
        with pytest.raises(TimedOutError, match="3 are parked"):
            await bank.balances.caught_up(to=Position("acc-1", 1), timeout=0)
        bank.failing = set()
        await t.advance(5)
        assert await bank.rows() == {"acc-1": 30, "acc-2": 30}
        assert await bank.documents.get("acc-1") == Balance(30, 3)
        assert await bank.balances.parked() == 0


async def test_an_event_that_cannot_be_read_waits_too() -> None:
    app, seen = App("bank"), list[Any]()
    accounts = app.aggregate("account", Account)

    @app.projection("amounts", accounts)
    async def amounts(event: Deposited | Withdrawn) -> None:
        seen.append(event)

    async with app.test() as t:
        bad = Message(body=b"{}", type="Deposited", key="acc-1")
        await app.declarations.host.log.append("account", [bad])
        await accounts.version("acc-2")
        await accounts.handle("acc-2", Deposit(1))
        await t.advance(600)
        assert seen == [Deposited(1)]
        assert await amounts.parked() == 1
        assert await (await amounts.dead_letters()).count() == 0


async def test_a_batch_is_one_commit(engine: str) -> None:
    app = App("bank")
    accounts = app.aggregate("account", Account)
    table = Table("amounts", "place integer primary key, amount integer")
    documents, sizes = Documents("sums", Balance), list[int]()

    @app.projection("amounts", accounts, into=[table, documents], batch=50)
    async def amounts(events: list[Event], tx: Transaction) -> None:
        sizes.append(len(events))
        rows = [{"place": e.offset, "amount": e.value.amount} for e in events]
        await tx.execute_many(f"insert into {table} values (:place, :amount)", rows)
        for event in events:
            amount = event.value.amount
            await documents.change(
                event.key, lambda was, more=amount: Balance((was.amount if was else 0) + more)
            )

    async with app.test(engine=engine) as t:
        async with app.transaction():
            for number in range(120):
                await accounts.handle(f"acc-{number % 7}", Deposit(1))
        await shown(amounts, t)
        async with app.transaction() as tx:
            assert (await tx.fetch("select count(*), sum(amount) from amounts"))[0] == (120, 120)
        assert max(sizes) > 1
        assert sum(sizes) == 120
        assert sum([d.amount for _, d in await documents.scan()]) == 120


async def test_paused_it_takes_nothing_until_it_is_resumed(engine: str) -> None:
    bank = Bank()
    async with bank.app.test(engine=engine) as t:
        await bank.balances.pause()
        assert await bank.balances.is_paused()
        await t.settle()
        await filled(bank, t, rounds=1)
        assert await bank.rows() == {}
        await bank.balances.resume()
        await t.advance(2)
        assert await bank.rows() == {"acc-1": 10, "acc-2": 10, "acc-3": 10}


async def test_a_module_may_have_aggregates_and_projections(engine: str) -> None:
    module, app = Module("bank"), App("shop")
    accounts = module.aggregate("account", Account)
    table = Table("seen", "place integer primary key")

    @module.projection("seen", accounts, into=[table])
    async def seen(event: Event, tx: Transaction) -> None:
        await tx.execute(f"insert into {table} values (:place)", place=event.offset)

    app.include(module)
    async with app.test(engine=engine) as t:
        handled = await accounts.handle("acc-1", Deposit(1))
        await shown(seen, t)
        await seen.caught_up(to=handled.position)


async def test_with_two_databases_events_lie_beside_the_rows(sql_stores: Stores) -> None:
    bank = Bank()
    bank.app.configure(engine=sql_stores("engine"), store=sql_stores("store"))
    async with bank.app:
        host = bank.app.declarations.host
        running = asyncio.create_task(Runtime(bank.app.declarations, host).run())
        handled = await bank.accounts.handle("acc-1", Deposit(10))
        await bank.balances.caught_up(to=handled.position)
        assert await bank.rows() == {"acc-1": 10}
        assert host.state.log is not None
        assert await host.state.log.logs() == ["account"]
        assert await host.log.logs() == []
        running.cancel()
        await asyncio.wait([running])


# --- rebuilding -----------------------------------------------------------------------------------


async def filled(bank: Bank, t: Trial, *, rounds: int = 4) -> None:
    for _ in range(rounds):
        for key in ("acc-1", "acc-2", "acc-3"):
            await bank.accounts.handle(key, Deposit(10))
    await (t.settle() if await bank.balances.is_paused() else shown(bank.balances, t))


async def test_it_is_built_anew_while_the_old_one_is_read_and_then_switched(engine: str) -> None:
    bank, told = Bank(), list[Any]()
    bank.app.signals.listen(GenerationBegun, told.append)
    bank.app.signals.listen(GenerationSwitched, told.append)
    async with bank.app.test(engine=engine) as t:
        await filled(bank, t)
        async with bank.app.transaction() as tx:  # a fault that only a rebuilding mends
            await tx.execute("update balances_g1 set amount = 1000")
        await bank.balances.rebuild()
        assert (await bank.rows())["acc-1"] == 1000
        await shown(bank.balances, t)
        standing = await bank.balances.standing()
        assert (standing.live.number, standing.building and standing.building.number) == (1, 2)
        await bank.accounts.handle("acc-1", Deposit(1))
        await t.advance(10)
        assert told == [
            GenerationBegun(projection="balances", generation=2),
            GenerationSwitched(projection="balances", generation=2),
        ]
        assert (await bank.balances.standing()).live.number == 2
        assert await bank.rows() == {"acc-1": 41, "acc-2": 40, "acc-3": 40}
        assert await bank.documents.get("acc-1") == Balance(41, 5)
        assert [hit.key for hit in await bank.index.search("41")] == ["acc-1"]
        handled = await bank.accounts.handle("acc-1", Deposit(1))
        await shown(bank.balances, t)
        await bank.balances.caught_up(to=handled.position)
        assert (await bank.rows())["acc-1"] == 42


async def test_what_nobody_reads_any_more_is_dropped(engine: str) -> None:
    bank = Bank()
    async with bank.app.test(engine=engine) as t:
        await filled(bank, t)
        await bank.balances.rebuild()
        await shown(bank.balances, t)
        await t.advance(10)
        assert await names(bank.app, "%_g1%") != []
        await t.advance(70)
        assert await names(bank.app, "%_g1%") == []
        assert await bank.app.declarations.host.store.scan("documents/profiles.1") == []
        assert (await bank.balances.standing()).retired == []
        assert (await bank.rows())["acc-1"] == 40


TABLES = {
    "sqlite": "select name from sqlite_master where name like :like",
    "postgresql": "select tablename from pg_tables where tablename like :like",
}


async def names(app: App, like: str) -> list[str]:
    async with app.transaction() as tx:
        rows = await tx.fetch(TABLES[app.declarations.host.store.capabilities.sql], like=like)
        return [row[0] for row in rows]


async def test_one_that_cannot_cope_does_not_take_the_place_of_one_that_can(engine: str) -> None:
    bank = Bank()
    async with bank.app.test(engine=engine) as t:
        await filled(bank, t)
        bank.failing = {"acc-1"}
        await bank.balances.rebuild()
        await shown(bank.balances, t)
        await t.advance(10)
        assert (await bank.balances.standing()).live.number == 1
        assert (await bank.rows())["acc-1"] == 40
        bank.failing = set()
        await t.advance(10)
        assert (await bank.balances.standing()).live.number == 2


async def test_a_new_version_is_built_beside_the_old_one(engine: str) -> None:
    old = Bank()
    async with old.app.test(engine=engine) as t:
        await filled(old, t)
    new, table = App("bank"), Table("balances", "account text primary key, cents integer")
    accounts = new.aggregate("account", Account, partitions=2)

    @new.projection("balances", accounts, into=[table], version=2)
    async def balances(event: Event, tx: Transaction) -> None:
        await tx.execute(
            f"insert into {table} values (:key, :cents)"
            f" on conflict (account) do update set cents = {table}.cents + :cents",
            key=event.key,
            cents=event.value.amount * 100,
        )

    async with new.test(engine=engine) as t:
        await t.advance(10)
        assert (await balances.standing()).live.version == 2
        async with new.transaction() as tx:
            rows = dict(await tx.fetch("select account, cents from balances"))
        assert rows == {"acc-1": 4000, "acc-2": 4000, "acc-3": 4000}
    async with old.app.test(engine=engine) as t:  # the old code reads, and builds nothing
        await old.accounts.handle("acc-1", Deposit(1))
        await t.advance(10)
        assert (await old.balances.standing()).live.version == 2
        assert (await old.balances.standing()).building is None


async def test_other_columns_without_a_new_version_are_refused(engine: str) -> None:
    old = Bank()
    async with old.app.test(engine=engine):
        pass
    new = App("bank")
    accounts = new.aggregate("account", Account, partitions=2)

    @new.projection("balances", accounts, into=[Table("balances", "account text")])
    async def balances(event: Event) -> None: ...

    with pytest.raises(ConfigError, match="say version=2"):
        async with new.test(engine=engine):
            pass


# --- declaring ------------------------------------------------------------------------------------


def test_a_function_says_which_events_it_takes() -> None:
    app = App("bank")
    accounts = app.aggregate("account", Account)
    with pytest.raises(ConfigError, match="takes no event"):

        @app.projection("nothing", accounts)
        async def nothing(tx: Transaction) -> None: ...

    with pytest.raises(ConfigError, match="Withdrawn may come too"):

        @app.projection("some", accounts)
        async def some(event: Deposited) -> None: ...

    with pytest.raises(ConfigError, match="Withdrawn may come too"):

        @app.projection("other", accounts)
        async def other(event: Recorded[Deposited]) -> None: ...

    with pytest.raises(ConfigError, match="takes no event"):

        @app.projection("batch", accounts, batch=10)
        async def batch(event: Event) -> None: ...

    with pytest.raises(ConfigError, match="version=0"):

        @app.projection("zero", accounts, version=0)
        async def zero(event: Event) -> None: ...


async def test_a_function_may_take_what_handlers_take() -> None:
    app, seen, blocked = App("bank"), list[Any](), threading.Event()
    accounts = app.aggregate("account", Account)

    @app.resource
    async def greeting() -> AsyncIterator[str]:
        yield "hello"

    @app.projection("seen", accounts)
    async def see(host: Host, event: Recorded[Any], greeting: str) -> None:
        seen.append((host.name, event.value, greeting))

    @app.projection("blocking", accounts)
    def block(event: Event) -> None:
        seen.append(event.version)
        blocked.set()

    async with app.test(engine="memory://") as t:
        await accounts.handle("acc-1", Deposit(3))
        await t.settle()
        await asyncio.to_thread(blocked.wait, 10)
        assert ("bank", Deposited(3), "hello") in seen
        assert 1 in seen
    (declared, _) = app.describe().of(DeclaredProjection)
    assert (declared.name, declared.aggregate, declared.version) == ("seen", "account", 1)


async def test_tables_need_sql_and_belong_to_one_projection(engine: str) -> None:
    bank = Bank()
    with pytest.raises(UnsupportedError, match="needs SQL"):
        async with bank.app.test():
            pass
    other = App("bank")
    accounts, table = other.aggregate("account", Account), Table("t", "a text")

    @other.projection("one", accounts, into=[table])
    async def one(event: Event) -> None: ...

    @other.projection("two", accounts, into=[table])
    async def two(event: Event) -> None: ...

    with pytest.raises(ConfigError, match="written by projection 'one'"):
        async with other.test(engine=engine):
            pass


async def test_read_models_are_written_by_their_projection_alone(engine: str) -> None:
    bank = Bank()
    with pytest.raises(ConfigError, match="not open"):
        await bank.documents.get("a")
    async with bank.app.test(engine=engine):
        with pytest.raises(ConfigError, match="in their projection's handler"):
            await bank.documents.put("a", Balance(1))
        with pytest.raises(ConfigError, match="in its projection's handler"):
            await bank.index.put("a", note="x")
        with pytest.raises(ConfigError, match="no text 'city'"):
            await bank.index.put("a", city="x")


@pytest.mark.parametrize("name", ["Balances", "a b", "", "drop table x;", "1a"])
def test_a_name_that_cannot_stand_in_sql_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="small letters"):
        Table(name, "a text")
    with pytest.raises(ConfigError, match="small letters"):
        SearchIndex("ok", name)


async def test_only_what_has_tables_of_its_own_is_built_anew() -> None:
    app = App("bank")
    accounts = app.aggregate("account", Account)

    @app.projection("plain", accounts)
    async def plain(event: Event) -> None: ...

    with pytest.raises(ConfigError, match="not open"):
        await plain.caught_up()
    async with app.test():
        with pytest.raises(ConfigError, match="name them"):
            await plain.rebuild()
        with pytest.raises(NotFoundError, match="there are: plain"):
            await Standings(app.declarations.host.store).get("nobody")


async def test_many_processes_may_open_it_at_once(engine: str) -> None:
    banks = [Bank() for _ in range(6)]
    for bank in banks:
        bank.app.configure(engine=engine)
    async with AsyncExitStack() as opened:
        await asyncio.gather(*(opened.enter_async_context(bank.app) for bank in banks))
        assert {(await bank.balances.standing()).live.number for bank in banks} == {1}


async def test_a_projection_may_read_what_another_one_wrote(engine: str) -> None:
    bank, seen = Bank(), list[Any]()

    @bank.app.projection("watch", bank.accounts)
    async def watch(event: Event, tx: Transaction) -> None:
        await bank.balances.caught_up(to=event.position)
        rows = await tx.fetch(f"select amount from {bank.table} where account = 'acc-1'")
        seen.append((rows[0][0], await bank.documents.get("acc-1")))
        with pytest.raises(ConfigError, match="their projection's handler"):
            await bank.documents.put("acc-1", Balance(0))

    async with bank.app.test(engine=engine) as t:
        await filled(bank, t, rounds=1)
        await bank.balances.rebuild()
        await t.advance(10)
        await bank.accounts.handle("acc-1", Deposit(1))
        await shown(bank.balances, t)
        await t.advance(1)
        await shown(watch, t)
        assert seen[-1] == (11, Balance(11, 2))
