"""The wire format, to the byte."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus import SchemaError
from isthmus.schema.confluent.frame import Frame, framed, pack_indexes

indexes = st.lists(st.integers(0, 2**31 - 1), min_size=1, max_size=8).map(tuple)


def test_a_frame_is_a_zero_the_id_and_the_body() -> None:
    assert framed(258, b"body") == b"\x00\x00\x00\x01\x02body"


@given(st.integers(0, 2**32 - 1), st.binary())
def test_what_is_framed_is_opened(id: int, body: bytes) -> None:
    assert Frame.of(framed(id, body)) == (id, body)
    assert Frame.without(framed(id, body)) == body


@given(st.binary().filter(lambda body: body[:1] != b"\0"))
def test_what_has_no_frame_is_left(body: bytes) -> None:
    assert Frame.of(body) is None
    assert Frame.without(body) == body


@pytest.mark.parametrize("body", [b"\0", b"\0\0\0\1"])
def test_a_frame_that_is_cut_off_is_refused(body: bytes) -> None:
    with pytest.raises(SchemaError, match="too short"):
        Frame.of(body)


def test_the_first_message_of_a_file_is_one_zero_byte() -> None:
    assert pack_indexes((0,)) == b"\0"
    assert pack_indexes((1, 0)) == b"\x04\x02\x00"


@given(indexes, st.binary())
def test_the_place_of_a_message_comes_back(place: tuple[int, ...], body: bytes) -> None:
    assert Frame(1, pack_indexes(place) + body).with_indexes() == (place, body)


@given(st.binary(max_size=30))
def test_no_place_does_more_than_be_refused(body: bytes) -> None:
    try:
        place, rest = Frame(1, body).with_indexes()
    except SchemaError:
        return
    assert place
    assert body.endswith(rest)
