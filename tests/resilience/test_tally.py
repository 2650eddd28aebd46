from hypothesis import given
from hypothesis import strategies as st

from isthmus.resilience.tally import CountTally, TimeTally


@given(st.lists(st.tuples(st.floats(0, 3), st.booleans()), max_size=200), st.floats(0.1, 50))
def test_a_window_of_time_counts_what_a_list_would(steps: list[tuple[float, bool]], window: float):
    tally, now, kept = TimeTally(window), 0.0, []
    for passed, bad in steps:
        now += passed
        (tally.bad if bad else tally.good)(now)
        kept.append((int(now // (window / 10)), bad))
        recent = [wrong for when, wrong in kept if when > kept[-1][0] - 10]
        assert tally.counts(now) == (sum(recent), len(recent))


@given(st.lists(st.booleans(), max_size=100), st.integers(1, 20))
def test_a_window_of_calls_counts_what_a_list_would(steps: list[bool], window: int):
    tally = CountTally(window)
    for number, bad in enumerate(steps, 1):
        (tally.bad if bad else tally.good)(0.0)
        recent = steps[:number][-window:]
        assert tally.counts(0.0) == (sum(recent), len(recent))


@given(
    st.lists(st.tuples(st.floats(0, 3), st.booleans()), max_size=50),
    st.lists(st.tuples(st.floats(0, 3), st.booleans()), min_size=1, max_size=50),
)
def test_a_clock_that_is_set_back_begins_the_window_anew(
    before: list[tuple[float, bool]], after: list[tuple[float, bool]]
):
    tally, new = TimeTally(5), TimeTally(5)
    now = 1000.0
    for passed, bad in before:
        now += passed
        (tally.bad if bad else tally.good)(now)
    now = 100.0
    assert tally.counts(now) == (0, 0)
    for passed, bad in after:
        now += passed
        for one in (tally, new):
            (one.bad if bad else one.good)(now)
        assert tally.counts(now) == new.counts(now)


def test_by_a_clock_that_is_set_back_a_little_time_stands_still():
    tally = TimeTally(10)
    tally.bad(100.5)
    for now in (100.1, 95, 90):
        tally.good(now)
    assert tally.counts(90) == (1, 4)
    assert tally.counts(109.9) == (1, 4)
    assert tally.counts(110) == (0, 0)
    tally.bad(110)
    assert tally.counts(99.9) == (0, 0)
