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
