from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus import ConfigError
from isthmus.handling.schedules.timing import Cron, Every

BERLIN = ZoneInfo("Europe/Berlin")

MOMENTS = st.floats(1_600_000_000, 1_900_000_000)


def local(moment: float) -> str:
    return datetime.fromtimestamp(moment, BERLIN).strftime("%m-%d %H:%M%z")


def at(text: str) -> float:
    return datetime.strptime(f"2024-{text}", "%Y-%m-%d %H:%M%z").timestamp()


def following(cron: Cron, moment: float, count: int) -> list[str]:
    found: list[float] = []
    for _ in range(count):
        moment = cron.after(moment, anchor=0)
        found.append(moment)
    return [local(each) for each in found]


@given(MOMENTS, st.floats(0.1, 1e6), MOMENTS)
def test_an_interval_is_as_long_everywhere(anchor: float, span: float, moment: float) -> None:
    every = Every(span)
    last, after = every.until(moment, anchor=anchor), every.after(moment, anchor=anchor)
    assert last <= moment + 1e-3
    assert after > moment - 1e-3
    assert after - last == pytest.approx(span, abs=1e-3)
    assert every.before(after) == last


@given(MOMENTS, st.integers(100, 10**6), st.integers(1, 1000))
def test_a_moment_is_the_same_number_however_it_is_reckoned(
    anchor: float, milliseconds: int, count: int
) -> None:
    every = Every(milliseconds / 1000)
    first = reckoned = every.first(anchor)
    for _ in range(count):
        reckoned = every.after(reckoned, anchor=reckoned)
    assert every.until(reckoned + 0.01, anchor=first) == reckoned
    for _ in range(count):
        reckoned = every.before(reckoned)
    assert reckoned == first


def test_an_interval_begins_one_interval_from_now() -> None:
    assert Every(30).first(1000.0) == 1030.0


@given(
    MOMENTS,
    st.sampled_from(["* * * * *", "*/7 * * * *", "30 4 * * 1-5", "0 0 1 * *", "5 0 3 * * *"]),
    st.sampled_from(["UTC", "Europe/Berlin", "Asia/Kathmandu"]),
)
def test_a_moment_lies_between_the_last_and_the_next(
    moment: float, expression: str, timezone: str
) -> None:
    cron = Cron(expression, timezone=timezone)
    last, after = cron.until(moment, anchor=0), cron.after(moment, anchor=0)
    assert last <= moment < after
    assert cron.until(last, anchor=0) == last
    assert cron.after(last, anchor=0) == after
    assert cron.before(after) == last


def test_a_fixed_hour_comes_once_on_the_day_that_lacks_it() -> None:
    cron = Cron("30 2 * * *", timezone="Europe/Berlin")
    found = following(cron, at("03-30 12:00+0100"), 2)
    assert found == ["03-31 03:00+0200", "04-01 02:30+0200"]


def test_a_fixed_hour_comes_once_on_the_day_that_has_it_twice() -> None:
    cron = Cron("30 2 * * *", timezone="Europe/Berlin")
    found = following(cron, at("10-26 12:00+0200"), 2)
    assert found == ["10-27 02:30+0200", "10-28 02:30+0100"]


def test_minutes_follow_elapsed_time_when_the_clocks_change() -> None:
    cron = Cron("*/30 * * * *", timezone="Europe/Berlin")
    assert following(cron, at("10-27 02:00+0200"), 4) == [
        "10-27 02:30+0200",
        "10-27 02:00+0100",
        "10-27 02:30+0100",
        "10-27 03:00+0100",
    ]


def test_the_definition_tells_timings_apart() -> None:
    assert Every(30).definition == "every 30 s"
    assert Cron("0 3 * * *").definition == "cron 0 3 * * * in UTC"
    assert datetime.fromtimestamp(Cron("0 3 * * *").first(0), UTC).hour == 3


@pytest.mark.parametrize("span", [0, -1, 0.05, float("inf"), float("nan")])
def test_an_interval_out_of_range_is_refused(span: float) -> None:
    with pytest.raises(ConfigError, match=r"expected at least 0\.1 seconds"):
        Every(span)


@pytest.mark.parametrize(
    ("expression", "fault"),
    [
        ("0 3 * *", "Wrong number of fields"),
        ("0 25 * * *", "Bad hour"),
        ("", "Wrong number of fields"),
        ("0 0 30 2 *", "Bad day-of-month"),
    ],
)
def test_an_expression_that_cannot_be_is_refused(expression: str, fault: str) -> None:
    with pytest.raises(ConfigError, match=fault):
        Cron(expression)


def test_an_unknown_time_zone_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"'Europe/Nowhere' is unknown.*tzdata"):
        Cron("0 3 * * *", timezone="Europe/Nowhere")
