import json
from datetime import date, datetime
from typing import Annotated, Any, Literal

import msgspec
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus.errors import ConfigError
from isthmus.schema import Registry, incompatibilities


def struct(fields: Any, **options: Any) -> type[msgspec.Struct]:
    return msgspec.defstruct("Order", fields, **options)


ORDER = struct([("id", str), ("total", int), ("note", str | None, None)])


def test_a_version_is_compatible_with_itself():
    assert incompatibilities(ORDER, ORDER, mode="full") == []


@pytest.mark.parametrize(
    ("change", "old", "new"),
    [
        ("an optional field is added", [("id", str)], [("id", str), ("n", int, 0)]),
        ("an optional field is removed", [("id", str), ("n", int, 0)], [("id", str)]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_change_that_breaks_nobody(change: str, old: Any, new: Any):
    assert incompatibilities(struct(old), struct(new), mode="full") == []


GE_1, GE_5, LE_9 = (msgspec.Meta(ge=1), msgspec.Meta(ge=5), msgspec.Meta(le=9))
SHORT = msgspec.Meta(max_length=5)


@pytest.mark.parametrize(
    ("narrow", "wide", "told"),
    [
        (int, float, "n: the old version writes number, the new version takes integer"),
        (int, int | None, "n: the old version writes null, the new version takes integer"),
        (int, int | str, "n: the old version writes string, the new version takes integer"),
        (int, Any, "n: the old version writes anything, the new version takes integer"),
        (
            Literal["a", "b"],
            Literal["a", "b", "c"],
            "n: the old version writes 'c' too, the new version takes only 'a', 'b'",
        ),
        (
            Literal["a"],
            str,
            "n: the old version writes any string, the new version takes only 'a'",
        ),
        (Literal[1], Literal[1] | None, "n: the old version writes null, the new version takes 1"),
        (
            Annotated[int, GE_5],
            Annotated[int, GE_1],
            "n: the old version has minimum 1, the new version wants 5",
        ),
        (
            Annotated[int, LE_9],
            int,
            "n: the old version has no maximum, the new version wants 9",
        ),
        (
            Annotated[str, SHORT],
            str,
            "n: the old version has no maxLength, the new version wants 5",
        ),
        (
            Annotated[datetime, msgspec.Meta(tz=True)],
            str,
            "n: the old version has no format, the new version wants date-time",
        ),
        (
            list[int],
            list[float],
            "n[]: the old version writes number, the new version takes integer",
        ),
        (
            dict[str, int],
            dict[str, float],
            "n.*: the old version writes number, the new version takes integer",
        ),
        (
            tuple[int, int],
            tuple[int, float],
            "n[1]: the old version writes number, the new version takes integer",
        ),
    ],
    ids=str,
)
def test_widening_breaks_old_readers_and_narrowing_new_ones(narrow: Any, wide: Any, told: str):
    small, large = struct([("n", narrow)]), struct([("n", wide)])
    assert incompatibilities(small, large, mode="backward") == []
    assert incompatibilities(large, small, mode="backward") == [told]
    assert len(incompatibilities(small, large, mode="forward")) == 1
    assert incompatibilities(large, small, mode="forward") == []
    assert incompatibilities(large, small, mode="full") == [told]


@pytest.mark.parametrize(
    ("old", "new"),
    [(int, str), (str, date | int), (list[int], dict[str, int]), (bytes, int), (bool, int)],
    ids=str,
)
def test_another_type_breaks_both_ways(old: Any, new: Any):
    for mode in ("backward", "forward"):
        assert incompatibilities(struct([("n", old)]), struct([("n", new)]), mode=mode)


def test_a_new_required_field_breaks_new_readers_only():
    old, new = struct([("id", str)]), struct([("id", str), ("sku", str)])
    told = "sku: the old version does not know it, the new version requires it"
    assert incompatibilities(old, new) == [told]
    assert incompatibilities(old, new, mode="forward") == []


def test_a_removed_required_field_breaks_old_readers_only():
    old, new = struct([("id", str), ("sku", str)]), struct([("id", str)])
    told = "sku: the new version does not know it, the old version requires it"
    assert incompatibilities(old, new) == []
    assert incompatibilities(old, new, mode="forward") == [told]


def test_a_field_that_was_optional_may_not_become_required():
    old, new = struct([("n", int, 0)]), struct([("n", int)])
    told = "n: the old version may leave it out, the new version requires it"
    assert incompatibilities(old, new) == [told]


def test_a_reader_that_refuses_unknown_fields_breaks_on_removed_ones():
    old = struct([("id", str), ("n", int, 0)])
    new = struct([("id", str)], forbid_unknown_fields=True)
    told = "n: the old version writes it, the new version refuses unknown fields"
    assert incompatibilities(old, new) == [told]


def test_every_problem_is_told_with_its_path():
    inner = [msgspec.defstruct("Item", [("sku", kind)]) for kind in (str, int)]
    old = struct([("items", list[inner[0]]), ("by", dict[str, inner[0]])])
    new = struct([("items", list[inner[1]]), ("by", dict[str, int]), ("x", int)])
    assert incompatibilities(old, new) == [
        "x: the old version does not know it, the new version requires it",
        "items[].sku: the old version writes string, the new version takes integer",
        "by.*: the old version writes Item, the new version takes integer",
    ]


class Old(msgspec.Struct):
    value: int
    children: "list[Old]" = []


class New(msgspec.Struct):
    value: str
    children: "list[New]" = []


def test_types_that_hold_themselves_are_compared_once():
    told = "value: the old version writes integer, the new version takes string"
    assert incompatibilities(Old, New) == [told]
    assert incompatibilities(Old, dict[str, Any]) == []
    assert incompatibilities(Old, Old, mode="full") == []


class Placed(msgspec.Struct, tag=True):
    id: str


class Shipped(msgspec.Struct, tag=True):
    id: str
    by: str


class Cancelled(msgspec.Struct, tag=True):
    id: str


def test_a_new_member_of_a_union_breaks_old_readers_only():
    old, new = Placed | Shipped, Placed | Shipped | Cancelled
    assert incompatibilities(old, new) == []
    told = "payload: the new version writes Cancelled, the old version takes Placed or Shipped"
    assert incompatibilities(old, new, mode="forward") == [told]


def test_a_member_of_a_union_is_compared_with_its_namesake():
    shipped = msgspec.defstruct("Shipped", [("id", str), ("by", int)], tag=True)
    told = "by: the old version writes string, the new version takes integer"
    assert incompatibilities(Placed | Shipped, Placed | shipped) == [told]


def test_array_like_structs_grow_at_their_end():
    old = struct([("id", str)], array_like=True)
    new = struct([("id", str), ("n", int, 0)], array_like=True)
    assert incompatibilities(old, new) == []
    changed = struct([("id", int)], array_like=True)
    told = "payload[0]: the old version writes string, the new version takes integer"
    assert incompatibilities(old, changed) in ([told], [told.removeprefix("payload")])


def test_bytes_and_json_are_not_one_another():
    (told,) = incompatibilities(bytes, str)
    assert "writes application/octet-stream, the new version takes JSON" in told


def test_pydantic_models_are_compared_too():
    old: Any = pydantic.create_model("Order", id=(str, ...), n=(int | None, None))
    new: Any = pydantic.create_model("Order", id=(str, ...), n=(int, ...))
    assert incompatibilities(old, new) == [
        "n: the old version may leave it out, the new version requires it",
        "n: the old version writes null, the new version takes integer",
    ]


def test_a_stored_document_is_compared_with_the_code():
    registry = Registry()
    registry.schema("shop.order", version=2)(New)
    stored = json.loads(json.dumps(registry.of(Old).json_schema()))
    told = ["value: the old version writes integer, the new version takes string"]
    assert incompatibilities(stored, registry.of(New)) == told


def test_a_document_of_others_may_list_types_and_be_a_reference_to_itself():
    stored = {
        "type": "object",
        "properties": {"n": {"type": ["integer", "null"]}, "me": {"$ref": "#"}},
    }
    assert incompatibilities(stored, stored, mode="full") == []
    new = {"type": "object", "properties": {"n": {"type": "integer"}}}
    told = "n: the old version writes null, the new version takes integer"
    assert incompatibilities(stored, new) == [told]


class Node(msgspec.Struct):
    value: int
    parent: "Node | None" = None


class Newer(msgspec.Struct):
    value: str
    parent: "Newer | None" = None


def test_a_type_may_have_itself_inside_as_an_option():
    told = ["value: the old version writes integer, the new version takes string"]
    assert incompatibilities(Node, Newer) == told
    assert incompatibilities(Node, Node, mode="full") == []


def test_what_is_not_compared_is_told():
    new = {"type": "object", "not": {"required": ["n"]}}
    (told,) = incompatibilities({"type": "object"}, new)
    assert told.endswith("the new version has 'not', which is not compared here")
    assert incompatibilities(new, new) == []


def test_a_reference_into_the_void_is_refused():
    with pytest.raises(ConfigError, match=r"refers to '#/\$defs/Gone', which it lacks"):
        incompatibilities({"$ref": "#/$defs/Gone"}, {"type": "object"})


# --- what is called compatible is read in truth -------------------------------------------------

simple = st.sampled_from([int, float, str, bool, int | None, str | None, Literal["a"], list[int]])
SAMPLES: dict[Any, list[Any]] = {
    int: [0, -7],
    float: [0.5],
    str: ["", "a", "b"],
    bool: [True],
    int | None: [3, None],
    str | None: ["a", "b", None],
    Literal["a"]: ["a"],
    list[int]: [[], [1]],
}
fields = st.dictionaries(st.sampled_from("abc"), st.tuples(simple, st.booleans()), max_size=3)


def declared(shape: dict[str, tuple[Any, bool]]) -> type[msgspec.Struct]:
    ordered = sorted(shape.items(), key=lambda item: item[1][1])
    return struct([(n, t, SAMPLES[t][0]) if opt else (n, t) for n, (t, opt) in ordered])


def read(type_: Any, body: bytes) -> bool:
    try:
        msgspec.json.decode(body, type=type_)
    except msgspec.ValidationError:
        return False
    return True


@given(fields, fields)
def test_a_verdict_agrees_with_what_a_reader_does(old: Any, new: Any):
    """Every body that the old shape allows, written out: all are read, or a problem is told."""
    bodies: list[dict[str, Any]] = [{}]
    for name, (type_, optional) in old.items():
        values = SAMPLES[type_]
        kept = bodies if optional else []
        bodies = [*kept, *({**body, name: value} for body in bodies for value in values)]
    reader = declared(new)
    all_read = all(read(reader, msgspec.json.encode(body)) for body in bodies)
    assert all_read == (incompatibilities(declared(old), reader) == [])


@pytest.mark.parametrize(
    ("written", "read", "told"),
    [
        ({"n": True}, {"n": {"type": "integer"}}, "writes anything, the new version takes integer"),
        ({"n": {"type": "integer"}}, {"n": True}, ""),
        (
            {"n": {"type": "integer"}},
            {"n": False},
            "writes it, the new version refuses unknown fields",
        ),
        ({"n": False}, {"n": {"type": "integer"}}, ""),
        ({"n": {"allOf": [{"type": "integer"}]}}, {"n": {"type": "integer"}}, ""),
        ({"n": {"const": 2}}, {"n": {"type": "integer"}}, ""),
        ({"n": {"multipleOf": 4}}, {"n": {"multipleOf": 2}}, ""),
        ({"n": {"multipleOf": 2}}, {"n": {"multipleOf": 4}}, "has multipleOf 2, the new version"),
        ({"n": {"type": "array"}}, {"n": {"type": "array", "minItems": 0}}, ""),
        ({"n": {"type": "array"}}, {"n": {"type": "array", "minItems": 1}}, "has no minItems"),
    ],
    ids=str,
)
def test_the_words_of_json_schema_are_understood(
    written: dict[str, Any], read: dict[str, Any], told: str
):
    sides = [{"type": "object", "properties": side} for side in (written, read)]
    found = incompatibilities(*sides)
    assert (len(found) == 1 and told in found[0]) if told else not found


def test_each_alternative_is_compared_anew():
    item, other = (msgspec.defstruct("Item", [("sku", kind)]) for kind in (str, int))
    old = struct([("id", str), ("item", item)])
    first = msgspec.defstruct("First", [("item", other), ("more", int)], tag=True)
    second = msgspec.defstruct("Second", [("item", other)], tag=True)
    choice = msgspec.json.schema(first | second)
    for definition in choice["$defs"].values():
        definition["required"] = [name for name in definition["required"] if name != "type"]
    told = "item.sku: the old version writes string, the new version takes integer"
    assert incompatibilities(old, choice) == [told]
