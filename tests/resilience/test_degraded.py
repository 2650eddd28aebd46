import asyncio

from hypothesis import given
from hypothesis import strategies as st

from isthmus.resilience.degraded import (
    HEADER,
    degraded_headers,
    degraded_in,
    degraded_parts,
    degrading,
    note_degraded,
)
from isthmus.resilience.outcome import Trail, trail


def test_a_note_that_nobody_asked_for_is_dropped():
    note_degraded("offers", "away")
    assert degraded_parts() == ()
    assert degraded_headers() == {}


def test_whoever_asks_sees_what_is_degraded_and_why():
    with degrading() as parts:
        note_degraded("offers", "away")
        note_degraded("prices")
        assert degraded_parts() == ("offers", "prices")
    assert parts == {"offers": "away", "prices": ""}
    assert degraded_parts() == ()


def test_the_first_reason_stands():
    with degrading() as parts:
        note_degraded("offers", "away")
        note_degraded("offers", "late")
    assert parts == {"offers": "away"}


def test_what_is_noted_within_is_seen_outside_and_not_the_other_way():
    with degrading() as outer:
        note_degraded("a")
        with degrading() as inner:
            note_degraded("b")
        note_degraded("c")
    assert list(inner) == ["b"]
    assert list(outer) == ["a", "b", "c"]


async def test_tasks_that_were_begun_within_are_seen_too():
    async def part(name: str) -> None:
        note_degraded(name)

    with degrading() as parts:
        await asyncio.gather(part("a"), part("b"))
    assert set(parts) == {"a", "b"}


async def test_answers_that_are_made_at_once_are_told_apart():
    async def answer(name: str) -> dict[str, str]:
        with degrading() as parts:
            note_degraded(name)
            await asyncio.wait([asyncio.ensure_future(asyncio.Event().wait())], timeout=0)
        return parts

    assert await asyncio.gather(answer("a"), answer("b")) == [{"a": ""}, {"b": ""}]
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        task.cancel()


def test_an_outcome_names_each_part_once():
    told = Trail()
    key = trail.set(told)
    note_degraded("a")
    note_degraded("a")
    trail.reset(key)
    assert told.degraded == ["a"]


def test_the_header_names_the_parts():
    with degrading():
        note_degraded("offers")
        note_degraded("user prices")
        headers = degraded_headers()
    assert headers == {HEADER: "offers, user prices"}
    assert degraded_in(headers) == ("offers", "user prices")
    assert degraded_in({}) == ()


@given(st.lists(st.text(), min_size=1, max_size=5))
def test_no_name_breaks_the_header(names: list[str]):
    with degrading():
        for name in names:
            note_degraded(name)
        value = degraded_headers()[HEADER]
    assert value.isascii()
    assert value.isprintable()
    assert len(degraded_in({HEADER: value})) == len(set(names))
