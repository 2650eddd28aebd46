"""A copy of an event store is whole, or says that it is not; and what is taken in is once."""

import json
from pathlib import Path
from typing import Any

import pytest
from tests.sourcing.bank import Account, Deposit, Withdraw
from tests.sourcing.customers import FORGOTTEN, SECRET, Customer, Register
from tests.stores import Stores

from isthmus import App, ConfigError
from isthmus.errors import ConflictError, CorruptedError, NotFoundError
from isthmus.message import Message
from isthmus.sourcing import Aggregate, exporting, importing
from isthmus.sourcing.exporting import export
from isthmus.sourcing.importing import import_events


@pytest.fixture
def urls(stores: Stores) -> tuple[str, str]:
    return stores("one"), stores("two")


def bank(url: str, **options: Any) -> tuple[App, Aggregate[Account]]:
    app = App("bank", engine=url)
    return app, app.aggregate("account", Account, **options)


async def filled(accounts: Aggregate[Account], count: int = 40) -> None:
    for number in range(count):
        await accounts.handle(f"acc-{number % 7}", Deposit(number + 1), who="anna")


async def seen(accounts: Aggregate[Any]) -> list[Any]:
    found = [event async for event in accounts.read()]
    return sorted((e.key, e.version, e.id, e.value, e.at, e.metadata) for e in found)


@pytest.mark.parametrize("partitions", [1, 3])
async def test_what_was_copied_and_taken_in_is_the_same(
    urls: tuple[str, str], tmp_path: Path, partitions: int
) -> None:
    (one, ours), (other, theirs) = (bank(url, partitions=partitions) for url in urls)
    async with one, other:
        await filled(ours)
        assert await ours.export_events(tmp_path / "copy") == 40
        assert await theirs.import_events(tmp_path / "copy") == (40, 0)
        assert await seen(theirs) == await seen(ours)
        first = [each async for each in ours.history("acc-3")][0].at  # noqa: RUF015
        assert await theirs.load("acc-3", at=first) == Account(4)
        await theirs.handle("acc-3", Withdraw(1))


async def test_taken_in_twice_is_once_and_a_later_copy_adds_the_rest(
    urls: tuple[str, str], tmp_path: Path
) -> None:
    (one, ours), (other, theirs) = map(bank, urls)
    async with one, other:
        await filled(ours)
        await ours.export_events(tmp_path / "first")
        await theirs.import_events(tmp_path / "first")
        assert await theirs.import_events(tmp_path / "first") == (40, 0)
        await filled(ours, 9)
        await ours.export_events(tmp_path / "second")
        assert await theirs.import_events(tmp_path / "second") == (9, 40)
        assert await seen(theirs) == await seen(ours)
        assert await ours.import_events(tmp_path / "second") == (0, 49)


async def test_into_other_events_nothing_is_taken(urls: tuple[str, str], tmp_path: Path) -> None:
    (one, ours), (other, theirs) = map(bank, urls)
    async with one, other:
        await filled(ours)
        await theirs.handle("acc-2", Deposit(1))
        await ours.export_events(tmp_path / "copy")
        with pytest.raises(ConflictError, match="event 1 of 'acc-2' is another one here"):
            await theirs.import_events(tmp_path / "copy")
        assert [event.key async for event in theirs.read()] == ["acc-2"]


async def test_a_copy_that_was_broken_off_goes_on_where_it_was(
    urls: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting, "CHUNK", 4)
    path, (app, accounts) = tmp_path / "copy", bank(urls[0])
    async with app:
        await filled(accounts)
        home, told = app.declarations.host, list[int]()

        def break_off(count: int) -> None:
            told.append(count)
            if count == 12:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            await export(home, "account", path, progress=break_off)
        whole = path.read_bytes()
        path.write_bytes(whole[:-30])  # and the machine lost the end of the last line
        await filled(accounts, 5)
        assert await export(home, "account", path, progress=told.append) == 40  # as when it began
        lines = path.read_text().splitlines()
        events = [json.loads(each) for each in lines[1:-1]]
        assert [(each["partition"], each["offset"]) for each in events] == sorted(
            {(each["partition"], each["offset"]) for each in events}
        )
        assert json.loads(lines[-1]) == {"line": "end", "events": 40}
        assert told[:4] == [4, 8, 12, 15]
        with pytest.raises(ConfigError, match="a whole copy already"):
            await accounts.export_events(path)


@pytest.mark.parametrize("killed_at", [6, 20, 38])
async def test_what_was_broken_off_while_taken_in_goes_on_where_it_was(
    urls: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, killed_at: int
) -> None:
    monkeypatch.setattr(importing, "CHUNK", 6)
    (one, ours), (other, theirs) = map(bank, urls)

    def break_off(count: int) -> None:
        if count >= killed_at:
            raise KeyboardInterrupt

    async with one, other:
        await filled(ours)
        await ours.export_events(tmp_path / "copy")
        home = other.declarations.host
        with pytest.raises(KeyboardInterrupt):
            await import_events(home, "account", tmp_path / "copy", progress=break_off)
        assert await import_events(home, "account", tmp_path / "copy") == (40, 0)
        assert await seen(theirs) == await seen(ours)


async def test_a_copy_that_is_not_whole_says_so(urls: tuple[str, str], tmp_path: Path) -> None:
    (one, ours), (other, theirs) = map(bank, urls)
    path = tmp_path / "copy"
    async with one, other:
        await filled(ours)
        await ours.export_events(path)
        whole = path.read_bytes()
        path.write_bytes(b"".join(whole.splitlines(keepends=True)[:21]))
        with pytest.raises(CorruptedError, match="20 events were added"):
            await theirs.import_events(path)
        path.write_bytes(whole)
        assert await theirs.import_events(path) == (40, 0)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "line 1"),
        ("hello\n", "no copy of events"),
        ('{"line":"end","events":1}\n', "does not begin as"),
        ('{"line":"head","format":2,"aggregate":"account","partitions":1,"ends":{},"at":1}\n', "2"),
    ],
)
async def test_what_is_no_copy_is_refused(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "copy").write_text(text)
    app, accounts = bank("memory://")
    async with app:
        with pytest.raises(CorruptedError, match=told):
            await accounts.import_events(tmp_path / "copy")


async def test_a_file_of_other_events_is_not_gone_on_with(tmp_path: Path) -> None:
    app, accounts = bank("memory://")
    head = '{"line":"head","format":1,"aggregate":"order","partitions":1,"ends":{"0":1},"at":1}\n'
    (tmp_path / "copy").write_text(head)
    async with app:
        with pytest.raises(ConfigError, match="events of 'order'"):
            await accounts.export_events(tmp_path / "copy")
        with pytest.raises(NotFoundError):
            await export(app.declarations.host, "nothing", tmp_path / "other")


async def test_bodies_come_back_byte_by_byte(tmp_path: Path) -> None:
    bodies = [b'{"amount": 1.50}', b'{\n"amount": 2}', b"\xff\x00", b"", b"null", '"ü"'.encode()]
    one, other = App("one", engine="memory://bytes-1"), App("two", engine="memory://bytes-2")
    async with one, other:
        ours, theirs = one.declarations.host, other.declarations.host
        await ours.log.declare("any", versioned=True)
        messages = [Message(body=body, key="a", headers={"x": "y"}) for body in bodies]
        await ours.log.append("any", messages)
        await export(ours, "any", tmp_path / "copy")
        await import_events(theirs, "any", tmp_path / "copy")
        assert [r.message.body for r in await theirs.log.history("any", "a")] == bodies
        assert [r.message.headers for r in await theirs.log.history("any", "a")] == [
            {"x": "y"}
        ] * len(bodies)


@pytest.mark.parametrize("keys", [True, False])
async def test_personal_data_come_along_only_with_their_keys(
    urls: tuple[str, str], tmp_path: Path, keys: bool
) -> None:
    one, other = (App("shop", engine=url) for url in urls)
    ours, theirs = (app.aggregate("customer", Customer) for app in (one, other))
    async with one, other:
        await ours.handle("c-1", Register(SECRET, "Linz"))
        await ours.export_events(tmp_path / "copy", keys=keys)
        assert SECRET not in (tmp_path / "copy").read_text()
        await theirs.import_events(tmp_path / "copy")
        found = await theirs.load("c-1")
        assert found == (Customer(SECRET, ("Linz",)) if keys else FORGOTTEN)
