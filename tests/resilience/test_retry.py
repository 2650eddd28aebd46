import copy
import pickle
from datetime import timedelta
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus.errors import ConfigError
from isthmus.resilience import Jitter, Retry, RetryBudget, transient_result

draws = st.floats(0, 1)
attempts = st.integers(2, 5000)
retries = st.builds(
    lambda jitter, delay, factor, over: Retry(
        delay=delay, factor=factor, cap=delay + over, jitter=jitter
    ),
    st.sampled_from(get_args(Jitter)),
    st.floats(0, 1000),
    st.floats(1, 50),
    st.floats(0, 10_000),
)


def test_delays_double_from_the_first_to_the_cap():
    retry = Retry(delay=1, factor=2, cap=10, jitter="none")
    assert [retry.delay_before(n, 0.5) for n in range(2, 8)] == [1, 2, 4, 8, 10, 10]


def test_full_jitter_draws_from_the_whole_delay():
    retry = Retry(delay=8)
    assert [retry.delay_before(2, draw) for draw in (0, 0.25, 1)] == [0, 2, 8]


def test_equal_jitter_keeps_half_of_the_delay():
    retry = Retry(delay=8, jitter="equal")
    assert [retry.delay_before(2, draw) for draw in (0, 0.5, 1)] == [4, 6, 8]


def test_decorrelated_jitter_goes_by_the_last_delay():
    retry = Retry(delay=1, cap=100, jitter="decorrelated")
    assert retry.delay_before(2, 1.0) == 3
    assert retry.delay_before(3, 1.0, last=10) == 30
    assert retry.delay_before(3, 0.0, last=10) == 1
    assert retry.delay_before(3, 1.0, last=50) == 100


@given(retries, attempts, draws, st.floats(0, 10_000))
def test_a_delay_is_never_negative_nor_over_what_it_may_be(
    retry: Retry, attempt: int, draw: float, last: float
):
    delay = retry.delay_before(attempt, draw, last=last)
    assert 0 <= delay <= retry.longest_before(attempt) <= retry.cap


@given(retries, attempts)
def test_the_longest_delay_only_grows(retry: Retry, attempt: int):
    assert retry.longest_before(attempt) <= retry.longest_before(attempt + 1)


@given(retries, attempts, draws, draws)
def test_a_greater_draw_never_waits_less(retry: Retry, attempt: int, one: float, other: float):
    low, high = sorted((one, other))
    assert retry.delay_before(attempt, low) <= retry.delay_before(attempt, high)


def test_attempts_are_spent_at_the_last():
    retry = Retry(3)
    assert [retry.spent(n) for n in (1, 2, 3, 4)] == [False, False, True, True]


def test_one_attempt_is_no_retry():
    assert Retry(1).spent(1)


def test_no_delay_at_all_stays_none():
    assert Retry(delay=0).delay_before(100_000, 1.0) == 0


def test_spans_may_be_timedeltas_and_equal_retries_are_equal():
    retry = Retry(5, delay=timedelta(seconds=2), cap=timedelta(minutes=1))
    assert retry == Retry(5, delay=2.0, cap=60.0)
    assert hash(retry) == hash(Retry(5, delay=2.0, cap=60.0))
    assert retry.cap == 60.0


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"attempts": 0}, r"Retry\(attempts=0\): expected 1 or more"),
        ({"delay": -1.0}, r"Retry\(delay=-1.0\): expected 0 or more seconds"),
        ({"delay": float("nan")}, "delay=nan"),
        ({"factor": 0.5}, r"Retry\(factor=0.5\): expected 1 or more"),
        ({"delay": 10, "cap": 5}, r"Retry\(cap=5\): expected delay \(10\) or more seconds"),
        ({"cap": float("inf")}, "cap=inf"),
        ({"jitter": "some"}, r"jitter='some'\): expected full, equal, decorrelated, none"),
    ],
    ids=str,
)
def test_an_option_out_of_range_is_refused_by_name_value_and_range(wrong: Any, told: str):
    with pytest.raises(ConfigError, match=told):
        Retry(**wrong)


def test_a_retry_is_frozen():
    with pytest.raises(AttributeError):
        Retry().attempts = 3  # pyright: ignore[reportAttributeAccessIssue]


def test_a_retry_shows_what_is_not_as_usual():
    assert repr(Retry(5)) == "Retry(5)"
    shown = "Retry(3, delay=0.1, jitter='none', when=transient_result)"
    assert repr(Retry(delay=0.1, jitter="none", when=transient_result)) == shown


def test_ladders_are_equal_by_their_numbers():
    assert Retry(3, on=KeyError, when=bool, budget=RetryBudget()) == Retry(3)
    assert Retry(3) != Retry(3, delay=2)


def test_a_retry_stays_as_it_was_made_and_can_be_sent_elsewhere() -> None:
    made = Retry(4, delay=2, jitter="none", within=9)
    assert pickle.loads(pickle.dumps(made)) == made == copy.copy(made)
    assert hash(made) == hash(Retry(4, delay=2, jitter="none", within=9))
    assert made != Retry(4, delay=2, jitter="none")
    assert made != "Retry"
    with pytest.raises(AttributeError, match="make another, with attempts=5"):
        made.attempts = 5  # type: ignore[misc]
    with pytest.raises(AttributeError, match="stays as it was made"):
        del made.attempts
