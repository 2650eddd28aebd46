"""Whoever asks to be forgotten is: their fields cannot be read by anybody, anywhere."""

import dataclasses
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
import pydantic
import pytest
from tests.sourcing.customers import (
    FORGOTTEN,
    SECRET,
    Address,
    Customer,
    Move,
    Moved,
    Register,
    Registered,
)

from isthmus import App, ConfigError, SchemaError, schema, upcaster
from isthmus.contracts import Put
from isthmus.errors import CorruptedError
from isthmus.sourcing import Aggregate, Personal, Recorded
from isthmus.sourcing.keys import BLANK


def process(url: str, **options: Any) -> tuple[App, Aggregate[Customer]]:
    app = App("shop", engine=url)
    return app, app.aggregate("customer", Customer, **options)


async def everything(app: App) -> str:
    """All that lies in the log and in the entries of the room, as text."""
    host = app.declarations.host
    records = await host.log.read("customer", 0, offset=0, limit=1000)
    entries = [
        entry.value
        for space in ("snapshots/customer", "commands/customer", "documents/names.1")
        for _, entry in await host.store.scan(space)
    ]
    return repr([record.message for record in records]) + repr(entries)


async def test_what_is_kept_cannot_be_read_without_the_key(url: str) -> None:
    app, customers = process(url, snapshot_every=1)
    async with app:
        await customers.handle("c-1", Register(SECRET, "Linz"), id="r-1")
        assert await customers.load("c-1") == Customer(SECRET, ("Linz",))
        kept = await everything(app)
        assert SECRET not in kept
        assert "Linz" not in kept
        other, same = process(url, snapshot_every=1)
        async with other:
            assert await same.load("c-1") == Customer(SECRET, ("Linz",))
            (event,) = [each async for each in same.read()]
            assert event.value == Registered(SECRET, Address("Linz"))


async def test_who_is_forgotten_reads_as_the_defaults_in_every_process(url: str) -> None:
    (one, ours), (other, theirs) = process(url, snapshot_every=1), process(url, snapshot_every=1)
    async with one, other:
        for customers in (ours, theirs):
            await customers.handle("c-1", Register(SECRET, "Linz"), id="r-1")
            await customers.handle("c-2", Register("Ben", "Graz"), id="r-2")
            assert (await customers.load("c-1")).name == SECRET
        assert await ours.forget("c-1") is True
        assert await ours.forget("c-1") is False
        for customers in (ours, theirs):
            assert await customers.load("c-1") == FORGOTTEN
            assert await customers.load("c-1", version=1) == FORGOTTEN
            assert (await customers.load("c-2")).name == "Ben"
            again = await customers.handle("c-1", Register(SECRET, "Linz"), id="r-1")
            assert again.events == [Registered("(forgotten)", Address("(nowhere)"))]
            (first, *_) = [each async for each in customers.history("c-1")]
            assert first.value == Registered("(forgotten)", Address("(nowhere)"))


async def test_who_comes_back_has_a_new_key(url: str) -> None:
    app, customers = process(url)
    async with app:
        await customers.handle("c-1", Register(SECRET, "Linz"))
        await customers.forget("c-1")
        await customers.handle("c-1", Register("Anna again", "Wien"))
        names = [each.value.name async for each in customers.history("c-1")]
        assert names == ["(forgotten)", "Anna again"]
        with pytest.raises(ConfigError, match="forget whom"):
            await customers.forget("")


async def test_several_events_of_a_new_person_in_one_transaction(url: str) -> None:
    app, customers = process(url, snapshot_every=1)
    async with app:
        async with app.transaction():
            await customers.handle("c-1", Register("A", "Linz"))
            await customers.handle("c-1", Register("B", "Graz"))
            await customers.handle("c-2", Move("Wien"))
        assert await customers.load("c-1") == Customer("B", ("Graz",))
        names = [each.value.name async for each in customers.history("c-1")]
        assert names == ["A", "B"]


async def test_projections_are_given_what_can_be_read(url: str) -> None:
    app, customers = process(url)
    names, failing = list[str](), True

    @app.projection("names", customers)
    async def project(event: Recorded[Registered | Moved]) -> None:
        if failing:
            raise ValueError("cannot cope")
        if isinstance(event.value, Registered):
            names.append(event.value.name)

    async with app.test(engine=url) as t:
        await customers.handle("c-1", Register(SECRET, "Linz"))
        await customers.handle("c-2", Register("Ben", "Graz"))
        await t.settle()
        assert await project.parked() == 2  # what is parked is as sealed as what is in the log
        host = app.declarations.host
        of = (await project.standing()).live.number
        parked = f"customer/names.{of}.parked"
        waiting = await host.queue.browse(parked, parked, limit=10)
        assert len(waiting) == 2
        assert SECRET not in repr(waiting)
        await customers.forget("c-2")
        failing = False
        await t.advance(120)
        assert sorted(names) == ["(forgotten)", SECRET]


async def test_a_sealed_field_that_was_changed_is_noticed(url: str) -> None:
    app, customers = process(url)
    async with app:
        await customers.handle("c-1", Register(SECRET, "Linz"))
        log = app.declarations.host.log
        (record,) = await log.history("customer", "c-1")
        await log.append("customer", [msgspec.structs.replace(record.message, id="another")])
        with pytest.raises(CorruptedError, match="'another' was changed"):
            await customers.load("c-1")


# --- whose data it is -----------------------------------------------------------------------------


class Ship(pydantic.BaseModel, frozen=True):
    to: str
    buyer: str


class Shipped(pydantic.BaseModel, frozen=True):
    to: Annotated[str, Personal("-", subject="buyer")] = pydantic.Field(alias="shipTo")
    buyer: str


@dataclasses.dataclass(frozen=True)
class Parcel:
    to: str = ""

    def decide(self, command: Ship) -> Sequence[Shipped]:
        return [Shipped(shipTo=command.to, buyer=command.buyer)]

    def evolve(self, event: Shipped) -> "Parcel":
        return Parcel(event.to)


async def test_a_field_may_be_the_data_of_whom_another_field_names(url: str) -> None:
    app = App("shop", engine=url)
    parcels = app.aggregate("parcel", Parcel, snapshot_every=1)
    async with app:
        for key in ("p-1", "p-2"):
            await parcels.handle(key, Ship(to=SECRET, buyer="c-1"))
        await parcels.handle("p-3", Ship(to="Ben", buyer="c-2"))
        assert await parcels.load("p-1") == Parcel(SECRET)
        assert await parcels.forget("c-1")
        states = [await parcels.load(key) for key in ("p-1", "p-2", "p-3")]
        assert states == [Parcel("-"), Parcel("-"), Parcel("Ben")]
        with pytest.raises(SchemaError, match="says whose data"):
            await parcels.handle("p-4", Ship(to="Ben", buyer=""))


# --- newer types, and marks that cannot be --------------------------------------------------------


@schema("test.named", version=2)
class Named(msgspec.Struct, frozen=True):
    full_name: Annotated[str, Personal("?")]


@upcaster("test.named", version=1)
def with_full_name(old: dict[str, Any]) -> dict[str, Any]:
    return {"full_name": old["name"]}


@schema("test.named", version=1)
class NamedOnce(msgspec.Struct, frozen=True):
    name: Annotated[str, Personal("?")]


class Person(msgspec.Struct, frozen=True):
    name: str = ""

    def decide(self, command: Move) -> Sequence[Named]:
        return [Named(command.city)]

    def evolve(self, event: Named) -> "Person":
        return Person(event.full_name)


class OldPerson(msgspec.Struct, frozen=True):
    name: str = ""

    def decide(self, command: Move) -> Sequence[NamedOnce]:
        return [NamedOnce(command.city)]

    def evolve(self, event: NamedOnce) -> "OldPerson":
        return OldPerson(event.name)


async def test_upcasters_are_given_what_can_be_read(url: str) -> None:
    old, new = App("shop", engine=url), App("shop", engine=url)
    before, after = old.aggregate("person", OldPerson), new.aggregate("person", Person)
    async with old, new:
        await before.handle("p", Move(SECRET))
        assert await after.load("p") == Person(SECRET)
        await before.forget("p")
        assert await after.load("p") == Person("?")


class Listed(msgspec.Struct, frozen=True):
    names: list[Annotated[str, Personal("?")]]


class Inner(msgspec.Struct, frozen=True):
    addresses: list[Address]


class Nobody(msgspec.Struct, frozen=True):
    name: Annotated[str, Personal("?", subject="owner")]


class Unfit(msgspec.Struct, frozen=True):
    age: Annotated[int, Personal("?")]


def aggregate_of(event: Any) -> type[Any]:
    class Made(msgspec.Struct, frozen=True):
        def decide(self, command: Move) -> Sequence[Any]:
            return [event(40)]

        def evolve(self, event: Any) -> Any:
            del event
            return self

    Made.decide.__annotations__["return"] = Sequence[event]
    Made.evolve.__annotations__ = {"event": event}
    return Made


@pytest.mark.parametrize(
    ("event", "told"),
    [(Listed, "mark all of it"), (Inner, "mark all of it"), (Nobody, "'owner', which is no field")],
)
async def test_a_mark_that_cannot_be_is_refused(event: type[Any], told: str) -> None:
    app = App("shop")
    app.aggregate("any", aggregate_of(event))
    with pytest.raises(ConfigError, match=told):
        async with app.test():
            pass


async def test_a_default_that_does_not_fit_is_noticed_before_it_is_needed() -> None:
    app = App("shop")
    aggregate = app.aggregate("any", aggregate_of(Unfit))
    async with app.test():
        with pytest.raises(SchemaError, match="default of Personal"):
            await aggregate.handle("a", Move("x"))
        assert await aggregate.version("a") == 0


async def test_without_the_library_the_way_out_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives.ciphers.aead", None)
    app, _ = process("memory://")
    with pytest.raises(ConfigError, match=r"isthmus\[personal\]"):
        async with app.test():
            pass


async def test_a_process_that_died_while_it_forgot_left_no_key(url: str) -> None:
    """It had overwritten the key, and not deleted it yet: nothing is read or written by that."""
    app, customers = process(url)
    async with app:
        await customers.handle("c-1", Register(SECRET, "Linz"))
        await app.declarations.host.store.put("subjects/customer", [Put("c-1", BLANK)])
        assert await customers.load("c-1", version=1) == FORGOTTEN
        await customers.handle("c-1", Register("Anna again", "Wien"))
        (entry,) = (await app.declarations.host.store.get("subjects/customer", ["c-1"])).values()
        assert entry.value != BLANK
        names = [each.value.name async for each in customers.history("c-1")]
        assert names == ["(forgotten)", "Anna again"]
