"""A timeline becomes a tree, whatever causes are missing or wrong."""

from collections.abc import Sequence
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from isthmus.flows import Branch, Seen
from isthmus.flows.status import tree


def seen(id_: str, *, cause: str = "", follows: Sequence[str] = (), event: str = "") -> Seen:
    return Seen(
        event=event or id_,
        id=id_,
        type="",
        at=0.0,
        seen_at=0.0,
        source="shop",
        causation=cause,
        follows=tuple(follows),
    )


def shape(branches: Sequence[Branch]) -> Any:
    return {f"{'' if each.caused else '~'}{each.seen.id}": shape(each.then) for each in branches}


def test_an_effect_is_below_its_cause() -> None:
    timeline = [seen("a"), seen("b", cause="a"), seen("c", cause="b"), seen("d", cause="a")]
    assert shape(tree(timeline)) == {"a": {"b": {"c": {}}, "d": {}}}


def test_what_has_no_cause_here_is_below_what_it_is_declared_to_follow() -> None:
    timeline = [seen("a", cause="request"), seen("b", cause="a queue's", follows=["a"]), seen("c")]
    assert shape(tree(timeline)) == {"~a": {"~b": {}}, "c": {}}


def test_causes_that_lead_to_themselves_hide_nothing() -> None:
    timeline = [seen("a", cause="b"), seen("b", cause="a"), seen("c", cause="c"), seen("d")]
    assert set(flat(tree(timeline))) == {"a", "b", "c", "d"}


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), max_size=7))
def test_every_event_is_in_it_once(edges: Sequence[tuple[int, int]]) -> None:
    timeline = [
        seen(f"m-{place}", cause=f"m-{cause}", follows=[f"e-{follows}"], event=f"e-{place}")
        for place, (cause, follows) in enumerate(edges)
    ]
    assert sorted(flat(tree(timeline))) == sorted(each.id for each in timeline)


def flat(branches: Sequence[Branch]) -> list[str]:
    return [id_ for each in branches for id_ in (each.seen.id, *flat(each.then))]
