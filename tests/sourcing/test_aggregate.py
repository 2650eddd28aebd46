"""What an aggregate promises: decided on the newest state, appended whole, once for one id."""

import asyncio
import dataclasses
from collections.abc import Coroutine, Iterator, Sequence
from contextvars import Context
from typing import Any

import msgspec
import pytest
from tests.sourcing.bank import (
    Account,
    Deposit,
    Deposited,
    OverdrawnError,
    Touch,
    Withdraw,
    Withdrawn,
)

from isthmus import App, ConfigError, SchemaError
from isthmus.errors import ConflictError
from isthmus.sourcing import Aggregate, DeclaredAggregate, Metadata, Position, acting


def process(url: str) -> tuple[App, Aggregate[Account]]:
    """Another process, as far as its memory goes."""
    app = App("bank", engine=url)
    return app, app.aggregate("account", Account)


async def elsewhere(work: Coroutine[Any, Any, Any]) -> None:
    """Do it as another process does: outside of what is under way here."""
    await asyncio.create_task(work, context=Context())


async def test_a_command_is_decided_and_its_events_are_the_state(url: str) -> None:
    app, accounts = process(url)
    async with app:
        first = await accounts.handle("acc-1", Deposit(100))
        assert (first.events, first.version, first.repeated) == ([Deposited(100)], 1, False)
        second = await accounts.handle("acc-1", Withdraw(30))
        assert second.position == Position("acc-1", 2)
        assert await accounts.load("acc-1") == Account(70)
        assert [event.value async for event in accounts.history("acc-1")] == [
            Deposited(100),
            Withdrawn(30),
        ]


async def test_an_aggregate_of_which_nothing_happened_is_as_it_begins(url: str) -> None:
    app, accounts = process(url)
    async with app:
        assert await accounts.load("acc-9") == Account()
        assert await accounts.version("acc-9") == 0


async def test_a_refused_command_raises_its_own_error_and_appends_nothing(url: str) -> None:
    app, accounts = process(url)
    async with app:
        await accounts.handle("acc-1", Deposit(10))
        with pytest.raises(OverdrawnError, match="11 of 10"):
            await accounts.handle("acc-1", Withdraw(11), id="w")
        assert await accounts.version("acc-1") == 1
        await accounts.handle("acc-1", Deposit(1))
        assert (await accounts.handle("acc-1", Withdraw(11), id="w")).version == 3


async def test_the_same_id_twice_is_one_effect_and_one_answer(url: str) -> None:
    app, accounts = process(url)
    async with app:
        await accounts.handle("acc-1", Deposit(100), id="d")
        first = await accounts.handle("acc-1", Withdraw(60), id="w")
        again = await accounts.handle("acc-1", Withdraw(60), id="w")  # refused, if decided anew
        assert again == msgspec.structs.replace(first, repeated=True)
        assert await accounts.load("acc-1") == Account(40)


async def test_the_same_id_of_another_aggregate_is_another_command(url: str) -> None:
    app, accounts = process(url)
    async with app:
        await accounts.handle("acc-1", Deposit(1), id="d")
        assert not (await accounts.handle("acc-2", Deposit(1), id="d")).repeated


async def test_a_command_that_comes_to_nothing_is_remembered_too(url: str) -> None:
    app, accounts = process(url)
    async with app:
        assert (await accounts.handle("acc-1", Touch(), id="t")).events == ()
        assert (await accounts.handle("acc-1", Touch(), id="t")).repeated
        assert (await accounts.handle("acc-1", Touch())).version == 0


async def test_an_id_is_forgotten_after_its_time() -> None:
    app = App("bank")
    accounts = app.aggregate("account", Account, keep_ids=60)
    async with app.test() as t:
        await accounts.handle("acc-1", Deposit(1), id="d")
        await t.advance(61)
        assert not (await accounts.handle("acc-1", Deposit(1), id="d")).repeated


async def test_what_another_process_appended_is_seen(url: str) -> None:
    (one, ours), (other, theirs) = process(url), process(url)
    async with one, other:
        await ours.handle("acc-1", Deposit(10))
        await theirs.handle("acc-1", Deposit(90))
        assert await ours.load("acc-1") == Account(100)
        await theirs.handle("acc-1", Deposit(100))
        assert (
            await ours.handle("acc-1", Withdraw(200))
        ).version == 4  # not refused by an old state
        await theirs.handle("acc-1", Deposit(1))
        assert (await ours.handle("acc-1", Touch())).version == 5


async def test_many_at_once_lose_nothing_whoever_they_are(url: str) -> None:
    (one, ours), (other, theirs) = process(url), process(url)
    async with one, other:
        keys = ["acc-1", "acc-2"]
        await asyncio.gather(
            *(accounts.handle(key, Deposit(1)) for accounts in (ours, theirs) for key in keys * 25)
        )
        for key in keys:
            assert await ours.load(key) == Account(50)
            versions = [event.version async for event in theirs.history(key)]
            assert versions == list(range(1, 51))


async def test_one_id_at_once_from_everywhere_is_one_effect(url: str) -> None:
    (one, ours), (other, theirs) = process(url), process(url)
    async with one, other:
        handled = await asyncio.gather(
            *(a.handle("acc-1", Deposit(7), id="d") for a in (ours, theirs) * 10)
        )
        assert sorted(each.repeated for each in handled) == [False] + [True] * 19
        assert {tuple(each.events) for each in handled} == {(Deposited(7),)}
        assert await ours.load("acc-1") == Account(7)


async def test_in_a_transaction_it_is_part_of_that(url: str) -> None:
    app, accounts = process(url)
    async with app:
        with pytest.raises(RuntimeError, match="on second thoughts"):
            async with app.transaction():
                await accounts.handle("acc-1", Deposit(100), id="d")
                assert await accounts.load("acc-1") == Account(100)
                raise RuntimeError("on second thoughts")
        assert await accounts.load("acc-1") == Account()
        async with app.transaction():
            await accounts.handle("acc-1", Deposit(100), id="d")
            assert (await accounts.handle("acc-1", Deposit(100), id="d")).repeated
            await accounts.handle("acc-1", Withdraw(100))
            with pytest.raises(OverdrawnError):
                await accounts.handle("acc-1", Withdraw(1))
            await accounts.handle("acc-2", Deposit(5))
        assert await accounts.load("acc-1") == Account(0)
        assert await accounts.version("acc-1") == 2
        assert await accounts.load("acc-2") == Account(5)


async def test_a_transaction_that_was_overtaken_writes_nothing(url: str) -> None:
    (one, ours), (other, theirs) = process(url), process(url)
    async with one, other:
        with pytest.raises(ConflictError):
            async with one.transaction():
                await ours.handle("acc-1", Deposit(1))
                await ours.handle("acc-2", Deposit(1))
                await elsewhere(theirs.handle("acc-1", Deposit(5)))
        assert await ours.load("acc-1") == Account(5)
        assert await ours.load("acc-2") == Account(0)


async def test_what_a_transaction_loaded_still_holds_when_it_writes(url: str) -> None:
    (one, ours), (other, theirs) = process(url), process(url)
    async with one, other:
        with pytest.raises(ConflictError):
            async with one.transaction():
                assert await ours.load("acc-1") == Account(0)
                await ours.handle("acc-2", Deposit(1))
                await elsewhere(theirs.handle("acc-1", Deposit(5)))


async def test_in_a_handler_events_and_message_are_one() -> None:
    app = App("bank")
    accounts = app.aggregate("account", Account)
    queue = app.queue("deposits", Deposit)

    @queue.handler()
    async def deposit(command: Deposit) -> None:
        await accounts.handle("acc-1", command)

    async with app.test() as t:
        await queue.send(Deposit(3), id="order-7")
        await t.settle()
        (event,) = [event async for event in accounts.history("acc-1")]
        assert event.metadata.causation == event.metadata.correlation == "order-7"


async def test_an_event_says_who_did_it_and_why(url: str) -> None:
    app, accounts = process(url)
    async with app:
        with acting("anna", why="ticket 17"):
            await accounts.handle("acc-1", Deposit(1), id="d-1")
            await accounts.handle("acc-1", Deposit(1), who="ben", headers={"x-tenant": "north"})
        first, second = [event async for event in accounts.history("acc-1")]
        assert first.metadata == Metadata(
            who="anna", why="ticket 17", command="d-1", correlation="d-1", causation="d-1"
        )
        assert (second.metadata.who, second.metadata.why) == ("ben", "ticket 17")
        assert second.headers["x-tenant"] == "north"


async def test_nothing_is_handled_before_the_app_is_open() -> None:
    accounts = App("bank").aggregate("account", Account)
    with pytest.raises(ConfigError, match="not open"):
        await accounts.handle("acc-1", Deposit(1))


@pytest.mark.parametrize(
    ("command", "told"),
    [
        (Deposit(-1), "amount"),  # its annotation says: above 0
        (Withdraw("much"), "amount"),  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        (Deposited(1), "Deposit | Withdraw"),
        ("all of it", "Deposit | Withdraw"),
    ],
)
async def test_a_command_that_does_not_fit_is_refused(command: Any, told: str) -> None:
    app = App("bank")
    accounts = app.aggregate("account", Account)
    async with app.test():
        with pytest.raises(SchemaError) as refused:
            await accounts.handle("acc-1", command)
        assert told in str(refused.value)
        assert await accounts.version("acc-1") == 0


async def test_an_event_that_could_not_be_read_again_is_not_appended() -> None:
    app = App("bank")
    careless = app.aggregate("careless", Careless)
    async with app.test():
        with pytest.raises(SchemaError, match="amount"):
            await careless.handle("a", Deposit(1))
        assert await careless.version("a") == 0


class Careless(msgspec.Struct, frozen=True):
    def decide(self, command: Deposit) -> Iterator[Deposited]:
        yield Deposited("lots")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]

    def evolve(self, event: Deposited) -> "Careless":
        return self


@dataclasses.dataclass(frozen=True)
class Counter:
    """A dataclass, with one command and one event, and a beginning of its own."""

    count: int

    def decide(self, command: Deposit) -> list[Deposited]:
        return [Deposited(1)] * command.amount

    def evolve(self, event: Deposited) -> "Counter":
        return Counter(self.count + event.amount)


async def test_any_frozen_type_will_do_and_may_begin_otherwise() -> None:
    app = App("bank")
    counters = app.aggregate("counter", Counter, initial=Counter(40))
    async with app.test():
        assert (await counters.handle("a", Deposit(2))).version == 2
        assert await counters.load("a") == Counter(42)


class Loose(msgspec.Struct):
    def decide(self, command: Deposit) -> Sequence[Deposited]: ...
    def evolve(self, event: Deposited) -> "Loose": ...


class Mute(msgspec.Struct, frozen=True):
    def decide(self, command: Deposit): ...  # type: ignore[no-untyped-def]
    def evolve(self, event: Deposited) -> "Mute": ...


class Unsaid(msgspec.Struct, frozen=True):
    def decide(self, command): ...  # type: ignore[no-untyped-def]
    def evolve(self, event: Deposited) -> "Unsaid": ...


class Half(msgspec.Struct, frozen=True):
    def decide(self, command: Deposit) -> Sequence[Deposited | Withdrawn]: ...
    def evolve(self, event: Deposited) -> "Half": ...


class Late(msgspec.Struct, frozen=True):
    async def decide(self, command: Deposit) -> Sequence[Deposited]: ...
    def evolve(self, event: Deposited) -> "Late": ...


class Needy(msgspec.Struct, frozen=True):
    balance: int

    def decide(self, command: Deposit) -> Sequence[Deposited]: ...
    def evolve(self, event: Deposited) -> "Needy": ...


class Numbers(msgspec.Struct, frozen=True):
    def decide(self, command: int) -> Sequence[Deposited]: ...
    def evolve(self, event: Deposited) -> "Numbers": ...


@pytest.mark.parametrize(
    ("state", "told"),
    [
        (Loose, "freeze it"),
        (Mute, "does not say which events"),
        (Unsaid, "takes itself and one thing"),
        (Half, "returns Withdrawn, which evolve"),
        (Late, "is async"),
        (Needy, "initial="),
        (Numbers, "is int; it is a class with fields"),
        (Deposited, "has no decide"),
    ],
)
def test_a_type_that_cannot_be_an_aggregate_is_refused_with_a_way_out(
    state: type[Any], told: str
) -> None:
    with pytest.raises(ConfigError) as refused:
        App("bank").aggregate("account", state)
    assert told in str(refused.value)


def test_options_are_checked_and_the_name_is_taken_once() -> None:
    app = App("bank")
    with pytest.raises(ConfigError, match="partitions=0"):
        app.aggregate("account", Account, partitions=0)
    app.aggregate("account", Account, keep_ids=60)
    with pytest.raises(ConfigError, match="declared twice"):
        app.aggregate("account", Account)
    (declared,) = app.describe().of(DeclaredAggregate)
    assert (declared.name, declared.keep_ids, str(declared.state)) == ("account", 60.0, "Account")


@pytest.mark.parametrize("text", ["acc-1@7", "a@b@12"])
def test_a_position_is_text_and_back(text: str) -> None:
    assert str(Position.parse(text)) == text


@pytest.mark.parametrize("text", ["", "acc-1", "@7", "acc-1@", "acc-1@-1"])
def test_what_is_no_position_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="no position"):
        Position.parse(text)


class Added(msgspec.Struct, frozen=True):
    item: str


class Basket(msgspec.Struct, frozen=True):
    items: list[str] = []

    def decide(self, command: Deposit) -> Sequence[Added]:
        return [Added(str(command.amount))]

    def evolve(self, event: Added) -> "Basket":
        self.items.append(event.item)  # which it should not
        return self


async def test_each_aggregate_begins_with_a_state_of_its_own() -> None:
    app = App("shop", engine="memory://")
    baskets = app.aggregate("basket", Basket)
    async with app:
        await baskets.handle("anna", Deposit(1))
        assert await baskets.load("bert") == Basket([])


class Forgetful(msgspec.Struct, frozen=True):
    def decide(self, command: Deposit) -> Sequence[Added]:
        return [Added(str(command.amount))]

    def evolve(self, event: Added) -> "Forgetful":  # pyright: ignore[reportReturnType]
        del event


async def test_an_evolve_that_forgets_to_return_is_refused_and_nothing_is_appended() -> None:
    app = App("shop", engine="memory://")
    forgetful = app.aggregate("forgetful", Forgetful)
    async with app:
        with pytest.raises(SchemaError, match=r"Forgetful\.evolve\(\) of Added: expected a Forg"):
            await forgetful.handle("a", Deposit(1))
        assert await forgetful.version("a") == 0
