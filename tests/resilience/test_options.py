"""Options that cannot be meant are refused where they are written, all in one manner."""

import math
import pickle
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from isthmus.errors import ConfigError
from isthmus.resilience import (
    AdaptiveLimit,
    Bulkhead,
    BulkheadFullError,
    Cache,
    Chaos,
    CircuitBreaker,
    CircuitOpenError,
    DeadlinePassedError,
    Fallback,
    Feature,
    FeatureOffError,
    Hedge,
    LastKnownGood,
    LocalState,
    RateLimit,
    RateLimitedError,
    RetriesSpentError,
    Retry,
    RetryBudget,
    Timeout,
)

WHOLE: list[tuple[Callable[..., Any], str, int]] = [
    (Retry, "attempts", 1),
    (Bulkhead, "concurrency", 1),
    (Bulkhead, "queue", 0),
    (lambda **options: Cache(1, **options), "most", 1),
    (lambda **options: Hedge(1, **options), "most", 1),
    (LastKnownGood, "most", 1),
    (LocalState, "most", 1),
    (RetryBudget, "minimum", 0),
    (AdaptiveLimit, "least", 1),
    (AdaptiveLimit, "most", 1),
    (AdaptiveLimit, "memory", 1),
    (lambda **options: RateLimit(1, **options), "burst", 1),
    (lambda **options: RateLimit(1, **options), "keys", 1),
    (lambda **options: CircuitBreaker(minimum=1, **options), "calls", 1),
    (CircuitBreaker, "minimum", 1),
    (CircuitBreaker, "consecutive", 1),
    (CircuitBreaker, "probes", 1),
    (CircuitBreaker, "successes", 1),
]

SPANS: list[tuple[Callable[..., Any], str, bool]] = [
    (Retry, "delay", True),
    (Retry, "cap", True),
    (Retry, "within", False),
    (Timeout, "request", False),
    (Timeout, "connect", False),
    (Bulkhead, "wait", False),
    (Cache, "ttl", True),
    (lambda **options: Cache(1, **options), "stale", True),
    (lambda **options: Cache(1, **options), "stale_if_error", True),
    (lambda **options: Cache(1, **options), "negative", True),
    (Hedge, "delay", True),
    (LastKnownGood, "max_age", False),
    (RetryBudget, "window", False),
    (lambda **options: RateLimit(1, **options), "per", False),
    (lambda **options: RateLimit(1, **options), "wait", True),
    (CircuitBreaker, "window", False),
    (CircuitBreaker, "slow", False),
    (CircuitBreaker, "open_for", False),
    (CircuitBreaker, "open_cap", True),
    (lambda **options: CircuitBreaker(shared=LocalState(), name="x", **options), "refresh", False),
    (lambda **options: Feature("x", **options), "refresh", True),
    (lambda **options: Chaos(error=OSError, **options), "latency", True),
]


@pytest.mark.parametrize(("make", "option", "least"), WHOLE)
def test_a_number_of_things_is_whole_and_not_too_small(
    make: Callable[..., Any], option: str, least: int
):
    make(**{option: max(least, 1)})
    for wrong in (least - 1, 2.5, math.nan, math.inf, "2", True):
        with pytest.raises(ConfigError, match=rf"\({option}=.*\): expected "):
            make(**{option: wrong})


@pytest.mark.parametrize(("make", "option", "none"), SPANS)
def test_a_span_is_finite_and_a_number_or_a_timedelta(
    make: Callable[..., Any], option: str, *, none: bool
):
    make(**{option: timedelta(seconds=2)} | ({"delay": 0} if option == "cap" else {}))
    for wrong in (-1, math.nan, math.inf, "2", True, *(() if none else (0, timedelta(0)))):
        with pytest.raises(ConfigError, match=rf"\({option}=.*\): expected "):
            make(**{option: wrong})


@pytest.mark.parametrize("rate", [-0.1, 1.1, math.nan])
def test_a_share_is_from_0_to_1(rate: float):
    with pytest.raises(ConfigError, match=r"RetryBudget\(rate=.*\): expected 0 to 1"):
        RetryBudget(rate)


@pytest.mark.parametrize("wrong", ["OSError", BaseException, KeyboardInterrupt("x"), 3])
def test_chaos_raises_nothing_but_errors(wrong: Any):
    with pytest.raises(ConfigError, match=r"Chaos\(error=.*\): expected an error"):
        Chaos(error=wrong)


def test_which_errors_are_meant_may_be_said_by_type():
    retry = Retry(on=(KeyError, OSError))
    assert [retry.on(error) for error in (KeyError(), OSError(), ValueError())] == [
        True, True, False,
    ]  # fmt: skip
    assert repr(retry) == "Retry(3, on=KeyError | OSError)"
    breaker = CircuitBreaker(counts=OSError)
    assert [breaker.counts(error) for error in (OSError(), ValueError())] == [True, False]
    for make in (lambda: Retry(on=BaseException), lambda: CircuitBreaker(counts="x")):  # type: ignore[arg-type]
        with pytest.raises(ConfigError, match="expected types of Exception, or a function"):
            make()


@pytest.mark.parametrize(
    "error",
    [
        CircuitOpenError("open", policy="pay", retry_after=2.5),
        BulkheadFullError("full", policy="pay"),
        DeadlinePassedError("late", policy="pay"),
        RateLimitedError("often", policy="pay", retry_after=1),
        FeatureOffError("off", policy="pay", feature="offers", reason="broken"),
        RetriesSpentError("spent", policy="pay", attempts=3, retry_after=7),
    ],
    ids=lambda error: type(error).__name__,
)
def test_errors_reach_another_process_whole(error: Exception):
    copied = pickle.loads(pickle.dumps(error))
    assert (type(copied), str(copied), vars(copied)) == (type(error), str(error), vars(error))


def test_what_is_not_said_is_as_documented():
    assert LastKnownGood().max_age == 3600
    assert RateLimit(1).keys == 10_000
    assert repr(Hedge(1, most=2)) == "Hedge(1, most=2)"
    assert repr(Hedge(1)) == "Hedge(1)"


def whose(order: int) -> int:
    return order


@pytest.mark.parametrize(
    "shown",
    [
        "Retry(3)",
        "Retry(4, delay=2.0, factor=3.0, cap=9.0, jitter='none', within=8.0)",
        "Retry(4, wait_for_circuit=True)",
        "Timeout(9)",
        "Timeout(9, connect=2, total=True, of={'read': 1.0}, precise=True)",
        "Bulkhead(3)",
        "Bulkhead(3, queue=2, wait=1, adaptive=AdaptiveLimit(least=2, most=9, tolerance=2.0))",
        "AdaptiveLimit(smoothing=0.5, memory=9)",
        "Cache(9)",
        "Cache(9, stale=1, stale_if_error=2, negative=0, most=7, name='x')",
        "Hedge(1)",
        "Hedge(1, most=2, percentile=0.9, budget=RetryBudget(0.1, minimum=1, window=5))",
        "RateLimit(3, 1)",
        "RateLimit(3, 2, burst=4, key=whose, wait=1, keys=9, name='x')",
        "RateLimit(3, 2, algorithm='sliding window')",
        "CircuitBreaker()",
        "CircuitBreaker(failure_rate=0.2, window=5.0, calls=20, minimum=3, consecutive=4)",
        "CircuitBreaker(slow=1.0, slow_rate=0.5, open_for=2.0, growth=2.0, probes=2, successes=2)",
        "CircuitBreaker(metrics_only=True, name='x')",
        "LastKnownGood(9.0, most=7)",
        "Feature('x')",
    ],
)
def test_what_is_shown_can_be_written(shown: str):
    made = eval(shown)
    assert repr(made) == shown
    if hasattr(made, "options"):
        again = type(made)(**made.options())
        assert repr(again) == shown
        assert repr(again.options()) == repr(made.options())


def written(strategy: Any, *options: Any, **named: Any) -> Callable[[], Any]:
    """What makes a strategy with options that a type checker would refuse."""
    return lambda: strategy(*options, **named)


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (written(CircuitBreaker, "0.5"), r"CircuitBreaker\(failure_rate='0.5'\): expected"),
        (written(CircuitBreaker, growth="2"), r"CircuitBreaker\(growth='2'\): expected"),
        (written(RetryBudget, "a"), r"RetryBudget\(rate='a'\): expected"),
        (written(Timeout, 2, total="yes"), r"Timeout\(total='yes'\): expected True or False"),
        (written(Timeout, 2, precise=1), r"Timeout\(precise=1\): expected True or False"),
        (written(Timeout, 2, of=["a"]), r"Timeout\(of=\['a'\]\): expected a mapping"),
        (written(Bulkhead, 3, adaptive="yes"), r"Bulkhead\(adaptive='yes'\): expected True"),
        (written(Cache, 60, key="sku"), r"Cache\(key='sku'\): expected a function"),
        (
            written(RateLimit, 5, key="customer"),
            r"RateLimit\(key='customer'\): expected a function",
        ),
        (written(RateLimit, "5"), r"RateLimit\(rate='5'\): expected a number"),
        (written(Feature, "x", default="off"), r"Feature\(default='off'\): expected True or False"),
        (written(Feature, "x", breaker=3), r"Feature\(breaker=3\): expected a CircuitBreaker"),
        (written(Fallback, LastKnownGood), r"expected one, as LastKnownGood\(\)"),
    ],
)
def test_what_cannot_be_meant_is_refused_where_it_is_written(make: Any, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        make()


def test_what_a_circuit_breaker_does_unless_more_is_said_is_as_documented():
    said = CircuitBreaker().options()
    del said["counts"]
    assert said == {
        "failure_rate": 0.5, "window": 10, "calls": None, "minimum": 10, "consecutive": None,
        "slow": None, "slow_rate": 1, "open_for": 5, "growth": 1, "open_cap": 300, "probes": 1,
        "successes": 1, "results": None, "metrics_only": False, "shared": None, "refresh": 1,
        "name": "",
    }  # fmt: skip
    usual = Retry().options()
    del usual["on"]
    assert usual == {
        "attempts": 3, "delay": 1, "factor": 2, "cap": 300, "jitter": "full", "within": None,
        "when": None, "budget": None, "wait_for_circuit": False,
    }  # fmt: skip
    cached = Cache(1).options()
    assert cached == {
        "ttl": 1, "stale": 0, "stale_if_error": 0, "key": None, "most": 1000, "errors": (),
        "negative": None, "name": "",
    }  # fmt: skip
