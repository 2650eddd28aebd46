from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus.resilience.meter import SlidingWindow, TokenBucket

gaps = st.lists(st.floats(0, 3), max_size=60)
patience = st.sampled_from([0.0, 0.5, 10.0])


def admitted(meter: Any, gaps: list[float], most: float) -> list[float]:
    """Return the moments at which calls that came after `gaps` were let through."""
    now, moments = 1_700_000_000.0, []
    for gap in gaps:
        now += gap
        wait = meter.reserve(now, most)
        if wait <= most:
            moments.append(now + wait)
    return moments


@given(st.floats(0.1, 50), st.integers(1, 10), gaps, patience)
def test_a_bucket_never_lets_through_more_than_its_burst_and_rate(
    rate: float, burst: int, gaps: list[float], most: float
):
    moments = admitted(TokenBucket(rate, burst), gaps, most)
    assert moments == sorted(moments)
    for i, first in enumerate(moments):
        for j in range(i, len(moments)):
            assert j - i + 1 <= burst + rate * (moments[j] - first) + 1e-4  # moments are rounded up


@given(st.integers(1, 8), st.floats(0.1, 5), gaps, patience)
def test_a_window_never_holds_more_than_its_calls(
    calls: int, per: float, gaps: list[float], most: float
):
    moments = admitted(SlidingWindow(calls, per), gaps, most)
    assert moments == sorted(moments)
    for first, after in zip(moments, moments[calls:], strict=False):
        assert after - first >= per - 1e-6


@given(gaps)
def test_a_bucket_at_rest_is_full_again(gaps: list[float]):
    bucket = TokenBucket(2, 4)
    admitted(bucket, gaps, 0)
    assert admitted(bucket, [10_000.0, 0, 0, 0, 0], 0) == [1_700_010_000.0] * 4


@given(st.sampled_from([lambda: TokenBucket(3, 5), lambda: SlidingWindow(3, 2)]), gaps)
def test_a_meter_that_recalls_anothers_numbers_goes_on_as_the_other(make: Any, gaps: list[float]):
    meter, twin = make(), make()
    admitted(meter, gaps, 5)
    twin.recall(meter.numbers())
    now = 1_700_000_000.0 + sum(gaps)
    assert twin.reserve(now, 5) == meter.reserve(now, 5)


def test_a_clock_that_is_a_little_behind_gains_nothing_and_waits_for_nothing():
    for meter in (TokenBucket(1, 2), SlidingWindow(2, 1)):
        assert meter.reserve(100, 0) == 0
        assert meter.reserve(95, 0) == 0
        assert meter.reserve(96, 0) > 0


def test_a_clock_that_was_set_back_is_followed():
    for meter in (TokenBucket(1, 1), SlidingWindow(1, 1)):
        assert meter.reserve(5000, 0) == 0
        meter.reserve(100, 0)
        assert meter.reserve(101.1, 0) == 0


def test_a_window_is_over_when_it_is_over():
    window = SlidingWindow(1, 10)
    assert window.reserve(100, 0) == 0
    assert 0 < window.reserve(109, 0) <= 1 + 1e-9
    assert window.reserve(110, 0) == 0


def test_a_bucket_recalls_what_is_left_in_it():
    emptied, other = TokenBucket(1, 3), TokenBucket(1, 3)
    for _ in range(3):
        emptied.reserve(100, 0)
    other.recall(emptied.numbers())
    assert other.reserve(100, 9) == pytest.approx(1)
    fuller = TokenBucket(1, 2)
    fuller.recall((5.0, 100.0))
    assert [fuller.reserve(100, 0) > 0 for _ in range(3)] == [False, False, True]


def test_a_bucket_does_not_recall_what_is_not_its_own():
    for numbers in ((), (0.0,), (0.0, 100.0, 100.0)):
        bucket = TokenBucket(1, 1)
        bucket.recall(numbers)
        assert bucket.reserve(100, 0) == 0
