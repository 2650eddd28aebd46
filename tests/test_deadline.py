import asyncio
import math
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus.clock import ManualClock
from isthmus.deadline import HEADER, deadline, deadline_headers, deadline_in, remaining


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(1000.0)


def test_without_a_deadline_the_default_remains():
    assert remaining() is None
    assert remaining(30.0) == 30.0


async def test_the_time_that_remains_runs_out_and_stops_at_zero(clock: ManualClock):
    with deadline(2.0, clock=clock):
        assert remaining() == 2.0
        await clock.advance(1.5)
        assert remaining() == 0.5
        await clock.advance(5)
        assert remaining() == 0.0
    assert remaining() is None


def test_a_timedelta_is_a_timeout_too(clock: ManualClock):
    with deadline(timedelta(minutes=1), clock=clock):
        assert remaining() == 60.0


@given(st.lists(st.floats(0.1, 1e6), min_size=1, max_size=5))
def test_of_nested_deadlines_the_nearest_is_in_force(timeouts: list[float]):
    clock = ManualClock(1000.0)

    def nest(rest: list[float], nearest: float) -> None:
        if not rest:
            return
        with deadline(rest[0], clock=clock):
            nearest = min(nearest, rest[0])
            assert remaining() == pytest.approx(nearest)
            nest(rest[1:], nearest)
            assert remaining() == pytest.approx(nearest)

    nest(timeouts, math.inf)


def test_a_moment_from_elsewhere_stands_if_it_is_nearer(clock: ManualClock):
    with deadline(10.0, at=1003.0, clock=clock):
        assert remaining() == 3.0
    with deadline(10.0, at=1030.0, clock=clock):
        assert remaining() == 10.0


def test_a_deadline_of_nothing_changes_nothing(clock: ManualClock):
    with deadline(clock=clock):
        assert remaining(7.0) == 7.0
        assert deadline_headers() == {}
    with deadline(5.0, clock=clock), deadline(clock=clock):
        assert remaining() == 5.0


def test_a_deadline_can_be_put_in_force_again_and_within_itself(clock: ManualClock):
    one = deadline(5.0, clock=clock)
    with one, one:
        assert remaining() == 5.0
    assert remaining() is None
    with one:
        assert remaining() == 5.0


async def test_tasks_keep_their_own_deadlines(clock: ManualClock):
    async def inside(timeout: float, ready: asyncio.Barrier) -> float | None:
        with deadline(timeout, clock=clock):
            async with ready:
                return remaining()

    ready = asyncio.Barrier(2)
    assert await asyncio.gather(inside(1.0, ready), inside(9.0, ready)) == [1.0, 9.0]
    assert remaining() is None


def test_a_deadline_crosses_a_boundary_in_a_header(clock: ManualClock):
    with deadline(2.5, clock=clock):
        headers = deadline_headers()
    assert headers == {HEADER: "1002.500"}
    with deadline(at=deadline_in(headers), clock=clock):
        assert remaining() == 2.5


@pytest.mark.parametrize("text", ["", "soon", "nan", "inf"])
def test_a_header_that_cannot_be_read_is_no_deadline(text: str):
    assert deadline_in({HEADER: text}) == math.inf


def test_headers_without_one_carry_no_deadline():
    assert deadline_in({}) == math.inf


def test_a_deadline_ends_with_its_block_when_that_raises(clock: ManualClock):
    with pytest.raises(KeyError), deadline(1.0, clock=clock):
        raise KeyError
    assert remaining() is None
