"""Field numbers never change: what the lock keeps, and what it refuses."""

import enum
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given as having
from hypothesis import strategies as st

from isthmus.errors import ConfigError
from isthmus.services.rpc import Service
from isthmus.services.rpc.contract.contract import draft_of
from isthmus.services.rpc.contract.descriptors import file_of
from isthmus.services.rpc.contract.lock import Entry, Lock, find_lock
from isthmus.services.rpc.contract.text import proto_text

TYPES = (str, int, float, bytes, bool, list[str], dict[str, int])


def draft(fields: dict[str, Any], *, enum_: Any = None) -> Any:
    """Return the draft of a service whose one request has these fields."""
    named = list(fields.items()) + ([("kind", enum_)] if enum_ else [])
    model: Any = msgspec.defstruct("AskRequest", named)

    async def ask(self: Any, request: Any) -> None: ...

    ask.__annotations__ = {"request": model, "return": None}
    kind: Any = type(Service)
    made = kind("Asking", (Service,), {"ask": ask}, name="shop.v1.AskService")
    return draft_of(made.__rpc__())


def numbers(lock: Lock, *, gone: bool = False) -> dict[str, int]:
    entries = lock.messages["shop.v1.AskRequest"].items()
    return {name: entry.number for name, entry in entries if entry.gone is gone}


def text(lock: Lock, of: Any) -> str:
    return proto_text(file_of(of, lock), {})


def test_a_reorder_changes_nothing() -> None:
    lock, changes = Lock().settled(draft({"a": str, "b": int}))
    assert numbers(lock) == {"a": 1, "b": 2}
    assert changes[:2] == ["shop.v1.AskRequest.a = 1, new", "shop.v1.AskRequest.b = 2, new"]
    again, changes = lock.settled(draft({"b": int, "a": str}))
    assert (numbers(again), changes) == ({"a": 1, "b": 2}, [])


def test_a_new_field_gets_the_next_number_wherever_it_stands() -> None:
    lock, _ = Lock().settled(draft({"a": str, "b": int}))
    lock, changes = lock.settled(draft({"first": str, "a": str, "b": int}))
    assert numbers(lock) == {"a": 1, "b": 2, "first": 3}
    assert changes == ["shop.v1.AskRequest.first = 3, new"]


def test_the_number_of_a_field_that_goes_is_reserved_and_its_name_too() -> None:
    lock, _ = Lock().settled(draft({"a": str, "b": int}))
    without = draft({"a": str})
    lock, changes = lock.settled(without)
    assert changes == ["shop.v1.AskRequest.b = 2, gone: reserved"]
    assert 'reserved 2;\n  reserved "b";' in text(lock, without)
    lock, _ = lock.settled(draft({"a": str, "c": int}))
    assert numbers(lock) == {"a": 1, "c": 3}


def test_a_field_that_comes_back_has_its_number_again() -> None:
    lock, _ = Lock().settled(draft({"a": str, "b": int}))
    lock, _ = lock.settled(draft({"a": str}))
    lock, changes = lock.settled(draft({"a": str, "b": int}))
    assert numbers(lock) == {"a": 1, "b": 2}
    assert changes == ["shop.v1.AskRequest.b = 2, back again"]


@pytest.mark.parametrize("gone", [False, True])
def test_another_type_under_the_same_number_is_refused(gone: bool) -> None:
    lock, _ = Lock().settled(draft({"a": str, "b": int}))
    if gone:
        lock, _ = lock.settled(draft({"b": int}))
    with pytest.raises(ConfigError, match="number 1 is string, and would be int64: give the"):
        lock.settled(draft({"a": int, "b": int}))


def test_what_only_tells_absence_may_change() -> None:
    lock, _ = Lock().settled(draft({"a": str}))
    lock, changes = lock.settled(draft({"a": str | None}))
    assert (numbers(lock), changes) == ({"a": 1}, [])


def test_every_conflict_is_told_at_once() -> None:
    lock, _ = Lock().settled(draft({"a": str, "b": int}))
    with pytest.raises(ConfigError) as caught:
        lock.settled(draft({"a": int, "b": str}))
    assert str(caught.value).count("give the field another name") == 2


def test_a_method_keeps_its_messages() -> None:
    lock, _ = Lock().settled(draft({"a": str}))

    class Other(msgspec.Struct):
        a: str

    class Asking(Service, name="shop.v1.AskService"):
        async def ask(self, request: Other) -> None: ...

    with pytest.raises(
        ConfigError, match=r"shop\.v1\.AskService/Ask is .* give the method another"
    ):
        lock.settled(draft_of(Asking.__rpc__()))


def test_values_of_an_enum_are_numbered_like_fields() -> None:
    one, two = enum.Enum("Color", "RED BLUE"), enum.Enum("Color", "GREEN BLUE RED")
    lock, _ = Lock().settled(draft({}, enum_=one))
    after = draft({}, enum_=two)
    lock, _ = lock.settled(after)
    said = text(lock, after)
    for line in ("COLOR_UNSPECIFIED = 0;", "COLOR_RED = 1;", "COLOR_BLUE = 2;", "COLOR_GREEN = 3;"):
        assert line in said
    last = draft({}, enum_=enum.Enum("Color", "BLUE"))
    lock, _ = lock.settled(last)
    assert 'reserved 1, 3;\n  reserved "COLOR_RED", "COLOR_GREEN";' in text(lock, last)


def test_own_numbers_of_an_enum_are_kept_or_refused() -> None:
    one = enum.IntEnum("Level", {"LOW": 0, "HIGH": 7})
    lock, _ = Lock().settled(draft({}, enum_=one))
    said = text(lock, draft({}, enum_=one))
    assert "// buf:lint:ignore ENUM_ZERO_VALUE_SUFFIX\n  LEVEL_LOW = 0;\n  LEVEL_HIGH = 7;" in said
    with pytest.raises(ConfigError, match="its number is 7, and would be 8"):
        lock.settled(draft({}, enum_=enum.IntEnum("Level", {"LOW": 0, "HIGH": 8})))
    with pytest.raises(ConfigError, match="number 7 is LEVEL_HIGH's: take another"):
        lock.settled(draft({}, enum_=enum.IntEnum("Level", {"LOW": 0, "TOP": 7})))


# --- the file ---------------------------------------------------------------------------------


def test_it_is_read_as_it_was_written(tmp_path: Path) -> None:
    lock, _ = Lock().settled(draft({"a": str, "b": dict[str, int]}, enum_=enum.Enum("E", "X")))
    lock, _ = lock.settled(draft({"c": str}, enum_=enum.Enum("E", "Y")))
    path = tmp_path / "proto.lock"
    path.write_text(lock.text())
    again = Lock.read(path)
    assert (again.messages, again.enums) == (lock.messages, lock.enums)
    assert again.services == lock.services
    assert again.text() == lock.text()


def test_a_number_that_is_given_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "proto.lock"
    path.write_text(
        '[message."shop.v1.A"]\na = { number = 1, type = "string" }\n'
        'b = { number = 1, type = "int64" }\n'
    )
    with pytest.raises(ConfigError, match="a and b both have number 1; a number is never"):
        Lock.read(path)


@pytest.mark.parametrize(
    "text", ["not toml", "message = 7", "[message.a]\nb = 1", '[message.a]\nb = { number = "1" }']
)
def test_a_file_that_is_no_lock_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "proto.lock"
    path.write_text(text)
    with pytest.raises(ConfigError, match="cannot be read as a lock file"):
        Lock.read(path)


def test_numbers_that_protobuf_keeps_are_passed_over() -> None:
    entries = {"a": Entry(18_999, "string")}
    lock, _ = Lock({"shop.v1.AskRequest": entries}).settled(draft({"a": str, "b": str}))
    assert numbers(lock) == {"a": 18_999, "b": 20_000}


def test_it_is_found_beside_the_module_or_above_it_in_its_package(tmp_path: Path) -> None:
    inner = tmp_path / "shop/services"
    inner.mkdir(parents=True)
    module = inner / "inventory.py"
    for folder in (tmp_path / "shop", inner):
        (folder / "__init__.py").touch()
    assert find_lock(module) is None
    for folder in (tmp_path, tmp_path / "shop", inner):
        (folder / "proto.lock").touch()
        assert find_lock(module) == folder / "proto.lock"
    (tmp_path / "proto.lock").touch()
    assert find_lock(tmp_path / "other/app.py") is None
    assert find_lock(None) is None


# --- laws -------------------------------------------------------------------------------------

NAMES = st.sampled_from("abcdefgh")
REVISIONS = st.lists(st.lists(NAMES, unique=True), min_size=1, max_size=8)


@having(REVISIONS)
def test_whatever_comes_and_goes_no_number_is_ever_anothers(revisions: list[list[str]]) -> None:
    lock, owner = Lock(), dict[int, str]()
    for names in revisions:
        lock, _ = lock.settled(draft(dict.fromkeys(names, str)))
        assert set(numbers(lock)) == set(names)
        for name, number in numbers(lock).items():
            assert owner.setdefault(number, name) == name
        assert all(owner[number] == name for name, number in numbers(lock, gone=True).items())


@having(st.dictionaries(NAMES, st.sampled_from(TYPES), min_size=1), st.randoms())
def test_no_order_of_fields_matters(fields: dict[str, Any], random: Any) -> None:
    lock, _ = Lock().settled(draft(fields))
    shuffled = list(fields.items())
    random.shuffle(shuffled)
    again, changes = lock.settled(draft(dict(shuffled)))
    assert (again.text(), changes) == (lock.text(), [])
    assert file_of(draft(dict(shuffled)), again) == file_of(draft(fields), lock)
