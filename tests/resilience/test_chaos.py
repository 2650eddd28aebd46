import asyncio
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus.clock import ManualClock
from isthmus.errors import ConfigError
from isthmus.resilience.chaos import VARIABLE, Chaos, ChaosStruck, ChaosSwitched
from isthmus.resilience.strategy import Site
from isthmus.signals import Signals


def site(
    draw: Any = lambda: 0.5,
    clock: ManualClock | None = None,
    signals: Signals | None = None,
    paused: list[float] | None = None,
) -> Site:
    pause = (lambda _: None) if paused is None else paused.append
    return Site("pay", clock or ManualClock(), pause, draw, signals or Signals(), idempotent=True)


def answer(*args: Any) -> Any:
    return args


async def async_answer(*args: Any) -> Any:
    return args


async def test_nothing_is_done_unless_it_is_switched_on():
    chaos = Chaos(error=OSError)
    assert chaos.state == "off"
    assert await chaos.around(async_answer, site())(1) == (1,)
    assert chaos.around_sync(answer, site())(1) == (1,)


async def test_calls_fail_in_place_of_being_made():
    made: list[int] = []
    chaos = Chaos(error=ConnectionError)
    guarded = chaos.around_sync(made.append, site())
    with chaos, pytest.raises(ConnectionError, match="error=ConnectionError, on purpose"):
        guarded(1)
    assert made == []
    guarded(2)
    assert made == [2]
    with Chaos(error=OSError("this one")) as other, pytest.raises(OSError, match="this one"):
        await other.around(async_answer, site())()


async def test_calls_return_something_else_in_place_of_being_made():
    with Chaos(result=None) as chaos:
        assert await chaos.around(async_answer, site())(1) is None
        assert chaos.around_sync(answer, site())(1) is None


async def test_calls_are_held_up_and_then_made():
    clock, paused = ManualClock(), list[float]()
    with Chaos(latency=30) as chaos:
        task = asyncio.ensure_future(chaos.around(async_answer, site(clock=clock))(1))
        await clock.advance(29)
        assert not task.done()
        await clock.advance(1)
        assert await task == (1,)
        assert chaos.around_sync(answer, site(paused=paused))(1) == (1,)
    assert paused == [30]


async def test_a_fault_may_come_late():
    clock = ManualClock()
    with Chaos(latency=30, error=OSError) as chaos:
        task = asyncio.ensure_future(chaos.around(async_answer, site(clock=clock))(1))
        await clock.advance(30)
        with pytest.raises(OSError):
            await task


@given(st.floats(0, 1), st.floats(0, 1, exclude_max=True))
def test_a_call_is_struck_if_the_draw_is_below_the_rate(rate: float, draw: float):
    with Chaos(result="chaos", rate=rate) as chaos:
        struck = chaos.around_sync(answer, site(lambda: draw))() == "chaos"
    assert struck == (draw < rate or rate == 1)


def test_a_seed_repeats_what_is_struck():
    def run() -> list[Any]:
        with Chaos(result="chaos", rate=0.5) as chaos:
            guarded = chaos.around_sync(answer, site(random.Random(3).random))
            return [guarded() for _ in range(50)]

    assert run() == run()
    assert {"chaos", ()} == set(run())


def test_that_it_is_on_is_said_as_a_warning(caplog: pytest.LogCaptureFixture):
    with caplog.at_level("WARNING", "isthmus.resilience"):
        with Chaos(error=OSError, rate=0.1) as chaos:
            chaos.on()
        assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING"]
    assert "error=OSError" in caplog.text


def test_the_environment_switches_it_on_and_that_is_said(monkeypatch: pytest.MonkeyPatch):
    heard: list[Any] = []
    signals = Signals()
    signals.listen(ChaosSwitched, heard.append)
    signals.listen(ChaosStruck, heard.append)
    monkeypatch.setenv(VARIABLE, "1")
    chaos = Chaos(result=0)
    assert chaos.around_sync(answer, site(signals=signals))(1) == 0
    assert [type(one) for one in heard] == [ChaosSwitched, ChaosStruck]
    assert heard[0].on
    monkeypatch.setenv(VARIABLE, "0")
    assert Chaos(result=0).state == "off"
    chaos.off()
    assert chaos.state == "off"


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"error": OSError, "result": 1},
        {"error": OSError, "rate": 1.1},
        {"error": OSError, "rate": -0.1},
        {"latency": -1},
    ],
)
def test_an_option_out_of_range_is_refused(options: dict[str, Any]):
    with pytest.raises(ConfigError, match="expected"):
        Chaos(**options)


async def test_of_calls_that_are_awaited_it_is_said_too(monkeypatch: pytest.MonkeyPatch):
    signals, heard = Signals(), list[ChaosSwitched]()
    signals.listen(ChaosSwitched, heard.append)
    monkeypatch.setenv(VARIABLE, "1")
    guarded = Chaos(result=0).around(async_answer, site(signals=signals))
    assert await guarded(1) == 0
    assert [(one.policy, one.on) for one in heard] == [("pay", True)]
