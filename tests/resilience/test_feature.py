from typing import Any

import pytest

from isthmus.clock import ManualClock
from isthmus.errors import ConfigError, UnavailableError
from isthmus.resilience.circuit_breaker import CircuitBreaker
from isthmus.resilience.degraded import degrading
from isthmus.resilience.errors import CircuitOpenError, NotCalledError
from isthmus.resilience.facts import CallRejected
from isthmus.resilience.fallback import FellBack, LastKnownGood
from isthmus.resilience.feature import Feature, FeatureOffError, FeatureSwitched
from isthmus.resilience.policy import Policy
from isthmus.resilience.shared import LocalState, Versioned
from isthmus.resilience.strategy import Site
from isthmus.signals import Signals


def site(clock: ManualClock | None = None) -> Site:
    clock = clock or ManualClock()
    return Site("home", clock, lambda _: None, lambda: 0.5, Signals(), idempotent=True)


async def recommended(user: str) -> list[str]:
    return [user, "tea"]


class Unreachable:
    async def read(self, name: str) -> Versioned:
        raise UnavailableError("away")

    async def write(self, *args: Any, **kwargs: Any) -> bool:
        raise UnavailableError("away")


async def test_a_feature_that_is_on_is_not_in_the_way():
    feature = Feature("recommendations")
    assert (feature.enabled, feature.state, feature.reason) == (True, "on", "")
    assert await feature(recommended)("ann") == ["ann", "tea"]


async def test_what_is_switched_off_is_not_called_and_says_why():
    feature, made = Feature("recommendations"), []

    @feature
    def count(user: str) -> None:
        made.append(user)

    feature.off("the model is being replaced")
    assert (feature.enabled, feature.reason) == (False, "the model is being replaced")
    with pytest.raises(FeatureOffError, match="recommendations is switched off: the model") as e:
        count("ann")
    assert isinstance(e.value, NotCalledError)
    assert not e.value.retryable
    assert (e.value.feature, e.value.reason) == ("recommendations", "the model is being replaced")
    feature.on()
    count("bob")
    assert made == ["bob"]


async def test_a_feature_may_be_off_until_somebody_says_otherwise():
    feature = Feature("recommendations", default=False)
    with pytest.raises(FeatureOffError):
        await feature(recommended)("ann")
    feature.on()
    assert await feature(recommended)("ann")


async def test_its_fallback_is_given_while_it_is_off_and_that_is_noted():
    feature = Feature("recommendations", fallback=[])
    guarded = feature(recommended)
    with degrading() as parts:
        assert await guarded("ann") == ["ann", "tea"]
        assert parts == {}
        feature.off()
        assert await guarded("ann") == []
    assert parts == {"recommendations": "FeatureOffError"}


async def test_the_last_known_good_may_be_given_while_it_is_off():
    feature = Feature("recommendations", fallback=LastKnownGood())
    guarded = feature(recommended)
    await guarded("ann")
    feature.off()
    assert await guarded("ann") == ["ann", "tea"]
    with pytest.raises(FeatureOffError):
        await guarded("bob")


async def test_its_fallback_does_not_cover_an_error_of_what_it_guards():
    @Feature("recommendations", fallback=[])
    async def fails() -> None:
        raise OSError("away")

    with pytest.raises(OSError):
        await fails()


def test_sync_calls_are_guarded_alike():
    feature = Feature("recommendations", fallback=[])
    guarded = feature.around_sync(lambda: [1], site())
    assert guarded() == [1]
    feature.off()
    assert guarded() == []


def test_switching_is_told_and_only_once():
    signals, heard = Signals(), list[FeatureSwitched]()
    signals.listen(FeatureSwitched, heard.append)
    feature = Feature("recommendations", signals=signals)
    feature.on()
    feature.off("why")
    feature.off("why else")
    assert feature.reason == "why else"
    feature.on()
    assert [(one.feature, one.on, one.reason) for one in heard] == [
        ("recommendations", False, "why"),
        ("recommendations", True, ""),
    ]


# --- by a breaker ---------------------------------------------------------------------------


async def test_it_is_off_while_its_breaker_is_open():
    clock, calls = ManualClock(), []
    breaker = CircuitBreaker(None, consecutive=2, open_for=10)
    feature = Feature("recommendations", breaker=breaker, fallback=[], clock=clock)
    policy = Policy(feature, breaker, clock=clock)

    @policy
    async def call() -> str:
        calls.append(1)
        if len(calls) < 4:
            raise OSError("away")
        return "well"

    for _ in range(2):
        with pytest.raises(OSError):
            await call()
    assert (feature.enabled, feature.reason) == (False, "its circuit is open")
    assert await call() == []
    assert len(calls) == 2
    await clock.advance(10)
    with pytest.raises(OSError):  # the probe
        await call()
    assert await call() == []
    await clock.advance(10)
    assert await call() == "well"
    assert feature.enabled


async def test_without_fallback_it_refuses_while_its_breaker_is_isolated():
    breaker = CircuitBreaker()
    guarded = Feature("recommendations", breaker=breaker).around(recommended, site())
    breaker.isolate()
    with pytest.raises(FeatureOffError, match="its circuit is open"):
        await guarded("ann")


async def test_its_fallback_covers_a_circuit_that_opens_meanwhile():
    async def late() -> None:
        raise CircuitOpenError("just now")

    feature = Feature("recommendations", breaker=CircuitBreaker(), fallback=[])
    assert await feature.around(late, site())() == []


# --- across processes -----------------------------------------------------------------------


async def test_what_is_said_everywhere_is_heard_everywhere():
    state, clock = LocalState(), ManualClock()
    ours, theirs = (Feature("recommendations", shared=state) for _ in range(2))
    guarded = theirs.around(recommended, site(clock))
    assert await guarded("ann")
    await ours.off_everywhere("why")
    assert not ours.enabled
    await clock.advance(4)
    assert await guarded("ann")
    await clock.advance(1)
    with pytest.raises(FeatureOffError, match="why"):
        await guarded("ann")
    await ours.on_everywhere()
    await theirs.refresh()
    assert theirs.enabled


async def test_the_last_word_counts_be_it_said_here_or_to_all():
    state = LocalState()
    ours, theirs = (Feature("recommendations", shared=state) for _ in range(2))
    await ours.off_everywhere("one")
    await theirs.refresh()
    theirs.on()
    await theirs.refresh()
    assert theirs.enabled
    await ours.off_everywhere("two")
    await theirs.refresh()
    assert (theirs.enabled, theirs.reason) == (False, "two")


async def test_out_of_reach_of_the_others_the_last_word_holds():
    feature = Feature("recommendations", shared=Unreachable())
    assert await feature.around(recommended, site())("ann")
    await feature.refresh()
    with pytest.raises(UnavailableError):
        await feature.off_everywhere("why")
    assert not feature.enabled  # here, at least


async def test_what_cannot_be_read_is_not_heard():
    state = LocalState()
    feature = Feature("recommendations", shared=state)
    for version, wrong in enumerate((b"\xff maybe", "² off".encode(), b"9" * 5000 + b" off")):
        await state.write("feature/recommendations", wrong, if_version=version)
        await feature.refresh()
        assert feature.enabled
    await feature.off_everywhere("why  so")
    other = Feature("recommendations", shared=state)
    await other.refresh()
    assert other.reason == "why  so"


def test_an_option_out_of_range_is_refused():
    with pytest.raises(ConfigError, match="expected"):
        Feature("")
    with pytest.raises(ConfigError, match="expected"):
        Feature("a", refresh=-1)


def test_a_blocking_call_of_a_feature_that_is_off_is_named():
    hub, heard = Signals(), list[FellBack]()
    hub.listen(FellBack, heard.append)
    feature = Feature("home", fallback=0)
    feature.off()

    def offers() -> int:
        return 1

    assert Policy(feature, signals=hub)(offers)() == 0
    assert [one.call for one in heard] == ["offers"]


async def test_a_call_that_is_switched_off_is_told():
    signals, heard = Signals(), list[CallRejected]()
    signals.listen(CallRejected, heard.append)
    feature = Feature("recommendations", signals=signals)
    feature.off()
    for call in (feature(recommended)("ann"), feature(recommended)("bob")):
        with pytest.raises(FeatureOffError):
            await call
    told = CallRejected(
        policy="recommendations", call="recommended", by="feature", retry_after=None
    )
    assert heard == [told, told]


async def test_features_of_one_state_are_switched_one_by_one():
    state = LocalState()
    offers, prices = (Feature(name, shared=state) for name in ("offers", "prices"))
    await offers.off_everywhere("why")
    for name, on in (("offers", False), ("prices", True)):
        elsewhere = Feature(name, shared=state)
        await elsewhere.refresh()
        assert elsewhere.enabled is on
    assert prices.enabled
