import asyncio
from pathlib import Path
from typing import Any

import pytest

from isthmus.errors import ConfigError, NotFoundError
from isthmus.resilience import (
    Bulkhead,
    Chaos,
    CircuitBreaker,
    CircuitOpenError,
    Fallback,
    Feature,
    Hedge,
    Policy,
    Retry,
    Timeout,
)
from isthmus.resilience.registry import Policies

pytestmark = pytest.mark.usefixtures("way")


async def call(x: int) -> int:
    return x


def kinds(policies: Policies, name: str) -> list[str]:
    return [repr(one) for one in policies.get(name).strategies]


def test_a_policy_is_made_from_a_table_in_an_order_that_works():
    policies = Policies()
    policies.load({"payments": {"timeout": 2, "retry": {"attempts": 4}, "total": 9}}, environ={})
    strategies = policies.get("payments").strategies
    assert [type(one) for one in strategies] == [Timeout, Retry, Timeout]
    assert strategies[1] == Retry(4)
    assert [repr(one) for one in strategies[::2]] == ["Timeout(9, total=True)", "Timeout(2)"]


def test_configuration_amends_what_code_defines_option_by_option():
    policies = Policies()
    policies.define("payments", Retry(3, delay=7), Bulkhead(4, queue=2), Timeout(2))
    policies.load(
        {"payments": {"retry": {"attempts": 5}, "bulkhead": 9, "timeout": False}}, environ={}
    )
    strategies = policies.get("payments").strategies
    assert strategies[0] == Retry(5, delay=7)
    assert repr(strategies[1:]) == "(Bulkhead(9, queue=2),)"


def test_the_environment_has_the_last_word():
    policies = Policies()
    policies.define("pay-out", Retry(3))
    environ = {
        "ISTHMUS_RESILIENCE__PAY_OUT__RETRY__ATTEMPTS": "6",
        "ISTHMUS_RESILIENCE__PAY_OUT__TIMEOUT": "2.5",
        "ISTHMUS_RESILIENCE__MAIL__RETRY": "{ attempts = 2, jitter = 'none' }",
        "ISTHMUS_RESILIENCE__MAIL__RETRY__JITTER": "equal",
        "ISTHMUS_ENGINE": "memory:",
    }
    policies.load({"pay-out": {"retry": {"attempts": 4, "delay": 2}}}, environ=environ)
    assert policies.get("pay-out").strategies[0] == Retry(6, delay=2)
    assert kinds(policies, "pay-out")[1] == "Timeout(2.5)"
    assert policies.get("mail").strategies == (Retry(2, jitter="equal"),)


def test_a_file_has_a_table_of_them(tmp_path: Path):
    path = tmp_path / "shop.toml"
    path.write_text("[resilience.payments]\nretry = { attempts = 4, budget = 0.1 }\n")
    policies = Policies()
    policies.load(path, environ={})
    (retry,) = policies.get("payments").strategies
    assert isinstance(retry, Retry)
    assert repr(retry.budget) == "RetryBudget(0.1, minimum=3, window=10)"
    path.write_text("[resilience")
    with pytest.raises(ConfigError, match=r"cannot read policies from .*shop.toml"):
        policies.load(path, environ={})


async def test_what_is_guarded_follows_and_state_is_kept():
    policies = Policies()
    breaker, bulkhead = CircuitBreaker(consecutive=5), Bulkhead(2)
    policy = policies.define("payments", breaker, bulkhead)
    gate = asyncio.Event()
    guarded, idempotent, read = policy(call), policy(idempotent=True)(call), policy.for_("read")
    runs = asyncio.ensure_future(policy.call(gate.wait))
    await asyncio.tasks.sleep(0)
    breaker.isolate()

    policies.load({"payments": {"bulkhead": 7, "circuit_breaker": {"open_for": 1}}}, environ={})
    assert policies.get("payments") is policy
    assert policy.strategies == (breaker, bulkhead)
    assert (breaker.state, bulkhead.running, bulkhead.concurrency) == ("isolated", 1, 7)
    assert "consecutive=5, open_for=1" in repr(breaker)
    for one in (guarded, idempotent, read(call)):
        with pytest.raises(CircuitOpenError):
            await one(1)

    policies.load(
        {"payments": {"circuit_breaker": False, "timeout": {"of": {"read": 3}}}}, environ={}
    )
    assert await guarded(1) == await idempotent(1) == 1
    assert repr(read.strategies[-1]) == "Timeout(3)"
    gate.set()
    assert await runs


async def test_what_is_not_said_any_more_is_as_it_was_defined():
    policies = Policies()
    breaker = CircuitBreaker(open_for=3)
    policies.define("payments", Retry(3), breaker)
    policies.load({"payments": {"retry": 9, "circuit_breaker": {"open_for": 1}}}, environ={})
    policies.load({}, environ={})
    assert policies.get("payments").strategies == (Retry(3), breaker)
    assert repr(breaker) == "CircuitBreaker(open_for=3.0)"


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (
            {"payments": {"retri": 3}},
            r"resilience.payments: there is no 'retri'; there are fallback, ",
        ),
        ({"payments": {"retry": {"attempts": 0}}}, r"resilience.payments.retry: Retry\(attempts=0"),
        ({"payments": {"retry": {"tries": 3}}}, r"resilience.payments.retry = .*tries"),
        (
            {"payments": {"timeout": "soon"}},
            r"payments.timeout: Timeout\(request='soon'\): expected seconds",
        ),
        ({"payments": 3}, "expected a table"),
    ],
    ids=str,
)
def test_what_cannot_be_used_is_named_and_changes_nothing(said: Any, told: str):
    policies = Policies()
    policies.define("payments", Retry(3))
    policies.define("mail", Retry(2))
    with pytest.raises(ConfigError, match=told):
        policies.load({"mail": {"retry": 7}, **said}, environ={})
    assert policies.get("mail").strategies == (Retry(2),)


def test_an_unknown_name_lists_those_there_are():
    policies = Policies()
    policies.define("mail", Retry(2))
    with pytest.raises(NotFoundError, match=r"no policy 'male'; there are: mail"):
        policies.get("male")
    with pytest.raises(ConfigError, match="defined already"):
        policies.define("mail")


def test_they_describe_themselves():
    policies = Policies()
    policies.define("mail", Retry(2))
    policies.define("auth", Timeout(2))
    assert policies.describe() == "auth\n  1. timeout: Timeout(2)\nmail\n  1. retry: " + repr(
        Retry(2)
    )


def test_functions_that_block_follow_too():
    policies = Policies()
    breaker = CircuitBreaker()
    guarded = policies.define("mail", breaker)(lambda: 1)
    breaker.isolate()
    with pytest.raises(CircuitOpenError):
        guarded()
    policies.load({"mail": {"circuit_breaker": False}}, environ={})
    assert guarded() == 1


async def test_a_bulkhead_that_adapts_keeps_what_it_learnt():
    policies = Policies()
    bulkhead = Bulkhead(20, adaptive=True)
    policies.define("payments", bulkhead, Timeout(2))
    assert bulkhead.adaptive is not None
    bulkhead.adaptive.usual = 0.1
    policies.load({"payments": {"bulkhead": {"queue": 3}}}, environ={})
    assert bulkhead.adaptive.usual == 0.1
    assert repr(bulkhead) == "Bulkhead(20, queue=3, adaptive=AdaptiveLimit())"
    policies.load({"payments": {"bulkhead": {"adaptive": False}}}, environ={})
    assert bulkhead.adaptive is None


async def test_everything_that_toml_can_say_may_be_configured(tmp_path: Path):
    path = tmp_path / "shop.toml"
    path.write_text(
        "[resilience.offers]\n"
        "fallback = { instead = [], name = 'offers' }\n"
        "feature = 'on'\n"
        "cache = { ttl = 5, stale = 1 }\n"
        "hedge = { delay = 1, budget = 0.1 }\n"
        "rate_limit = 3\n"
        "chaos = { error = 'ConnectionError', rate = 0.5 }\n"
        "timeout = 2\n"
        "bulkhead = true\n"
        "circuit_breaker = true\n"
        "retry = { attempts = 2, budget = 0.1 }\n"
        "total = 9\n"
    )
    policies = Policies()
    policies.load(path, environ={})
    shown = kinds(policies, "offers")
    budget = "budget=RetryBudget(0.1, minimum=3, window=10)"
    assert shown == [
        "Fallback(list)",
        "Feature('offers')",
        "Cache(5, stale=1)",
        "Timeout(9, total=True)",
        f"Retry(2, {budget})",
        f"Hedge(1, {budget})",
        "CircuitBreaker()",
        "RateLimit(3, 1)",
        "Bulkhead(10)",
        "Timeout(2)",
        "Chaos(error=ConnectionError, rate=0.5)",
    ]
    retry, hedge = policies.get("offers").strategies[4:6]
    assert isinstance(retry, Retry)
    assert isinstance(hedge, Hedge)
    assert retry.budget is hedge.budget
    assert await policies.get("offers")(call, 1) == 1


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({"feature": False}, "to switch it off, say feature = 'off'"),
        ({"feature": "maybe"}, r"Feature\(default='maybe'\): expected 'on' or 'off'"),
        ({"chaos": {"error": "Oops"}}, r"Chaos\(error='Oops'\): expected an error of Python's own"),
        ({"chaos": {"error": "print"}}, "expected an error of Python's own"),
        ({"chaos": {"error": "SystemExit"}}, "expected an error of Python's own"),
        ({"fallback": True}, "payments.fallback = True: .*instead"),
        ({"fallback": {"instead": 0, "on": "OSError"}}, "expected types of Exception"),
        ({"cache": -1}, r"payments.cache: Cache\(ttl=-1\)"),
        ({"retry": {"budget": {"share": 1}}}, r"payments.retry = .*share"),
    ],
    ids=str,
)
def test_what_a_strategy_cannot_be_made_of_is_named(said: Any, told: str):
    with pytest.raises(ConfigError, match=told):
        Policies().load({"payments": said}, environ={})


async def test_a_feature_is_switched_by_its_configuration_and_stays_as_it_was_switched_by_hand():
    policies = Policies()
    feature = Feature("offers", fallback="none")
    guarded = policies.define("home", feature)(call)
    policies.load(environ={"ISTHMUS_RESILIENCE__HOME__FEATURE": "off"})
    assert (await guarded(1), feature.enabled) == ("none", False)
    feature.on()
    policies.load(environ={"ISTHMUS_RESILIENCE__HOME__FEATURE": "off"})
    assert feature.enabled
    policies.load(environ={"ISTHMUS_RESILIENCE__HOME__FEATURE__FALLBACK": "7"})
    feature.off()
    assert await guarded(1) == 7


async def test_a_fallback_gives_what_was_configured_last():
    policies = Policies()
    for value in ("a", "b"):
        policies.load({"home": {"fallback": value}}, environ={})
        assert await policies.get("home").call(fails) == value


async def fails() -> None:
    raise OSError


async def test_chaos_stays_switched_on_while_it_does_something_else():
    policies, chaos = Policies(), Chaos(error=OSError)
    guarded = policies.define("pay", chaos)(call)
    with chaos:
        policies.load({"pay": {"chaos": {"error": "KeyError"}}}, environ={})
        with pytest.raises(KeyError):
            await guarded(1)
    assert await guarded(1) == 1
    policies.load({}, environ={})
    assert repr(chaos) == "Chaos(error=OSError, rate=1)"


def test_a_budget_goes_on_when_it_is_loaded_again():
    policies = Policies()
    for attempts in (2, 3):
        policies.load({"pay": {"retry": {"attempts": attempts, "budget": 0.5}}}, environ={})
        (retry,) = policies.get("pay").strategies
        assert isinstance(retry, Retry)
        assert retry.budget is not None
        assert [retry.budget.spend(0.0) for _ in range(3)] == [attempts == 2] * 3


def test_an_order_that_is_meant_as_written_may_be_loaded():
    policies = Policies()
    policies.define("pay", Retry(2), Timeout(9, total=True), as_written=True)
    policies.load({"pay": {"retry": 3}}, environ={})
    assert kinds(policies, "pay") == ["Retry(3)", "Timeout(9, total=True)"]


def test_two_of_a_kind_stay_two():
    policies = Policies()
    outer, inner = Bulkhead(9), Bulkhead(2)
    policies.define("pay", outer, Retry(2), inner)
    policies.load({"pay": {"retry": 3}}, environ={})
    assert policies.get("pay").strategies == (outer, Retry(3), inner)
    assert (outer.concurrency, inner.concurrency) == (9, 2)


def test_what_was_removed_for_a_while_is_the_same_when_it_returns():
    policies, breaker = Policies(), CircuitBreaker()
    policy = policies.define("pay", Policy(breaker), Retry(2))
    policies.load({"pay": {"circuit_breaker": False}}, environ={})
    assert policy.strategies == (Retry(2),)
    policies.load({}, environ={})
    assert policy.strategies == (breaker, Retry(2))


async def test_a_named_policy_within_another_follows_too():
    policies, breaker = Policies(), CircuitBreaker()
    breaker.isolate()
    named = policies.define("pay", breaker)
    outer = Policy(Bulkhead(9), named)
    guarded, blocking = outer(call), outer(lambda: 1)
    with pytest.raises(CircuitOpenError):
        await guarded(1)
    policies.load({"pay": {"circuit_breaker": False}}, environ={})
    assert (await guarded(1), blocking()) == (1, 1)


def test_what_configuration_adds_goes_where_it_belongs():
    policies = Policies()
    policies.define("pay", Fallback(0), Bulkhead(2), Timeout(2), Chaos(latency=1))
    policies.load({"pay": {"retry": 2, "rate_limit": 3}}, environ={})
    kinds = [one.kind for one in policies.get("pay").strategies]
    assert kinds == ["fallback", "retry", "rate limit", "bulkhead", "timeout", "chaos"]


def test_a_variable_that_is_half_a_name_or_anothers_says_nothing():
    policies = Policies()
    policies.load(environ={"ISTHMUS_RESILIENCE__PAY": "3", "OTHER__PAY__RETRY": "3"})
    assert policies.describe() == ""


def test_a_name_that_is_almost_anothers_is_warned_of(caplog: pytest.LogCaptureFixture):
    policies = Policies()
    policies.define("payments", Retry(2))
    policies.define("mail", Retry(2))
    policies.load(
        {"mail": {"retry": 3}, "stock": {"retry": 3}, "payment-methods": {"retry": 3}},
        environ={"ISTHMUS_RESILIENCE__PAYMNETS__TIMEOUT": "2"},
    )
    (record,) = caplog.records
    assert (record.name, record.levelname) == ("isthmus.resilience", "WARNING")
    assert record.getMessage() == (
        "resilience.paymnets: no code defines this policy; is 'payments' meant?"
    )


def test_a_name_that_somebody_asks_for_is_right(caplog: pytest.LogCaptureFixture):
    policies = Policies()
    policies.define("shard-1", Retry(2))
    policies.load({"shard-2": {"retry": 3}}, environ={})
    assert len(caplog.records) == 1
    policies.get("shard-2")
    policies.load({"shard-2": {"retry": 4}}, environ={})
    assert len(caplog.records) == 1


def test_what_nobody_asked_for_is_described_as_such():
    policies = Policies()
    policies.define("mail", Retry(2))
    policies.load({"stock": {"timeout": 1}, "paymnets": {"timeout": 2}}, environ={})
    policies.get("stock")
    assert policies.describe().splitlines() == [
        "mail",
        f"  1. retry: {Retry(2)!r}",
        "paymnets: configured, but neither defined in code nor asked for",
        "  1. timeout: Timeout(2)",
        "stock",
        "  1. timeout: Timeout(1)",
    ]


def test_what_is_loaded_again_unchanged_is_the_same_object():
    policies, timeout = Policies(), Timeout(2)
    policies.define("pay", timeout)
    for _ in range(2):
        policies.load({"pay": {"retry": 2}}, environ={})
        assert policies.get("pay").strategies[-1] is timeout


def test_an_order_that_cannot_work_is_not_loaded():
    policies = Policies()
    policies.define("pay", Retry(2), Timeout(2))
    policies.define("mail", Retry(2))
    with pytest.raises(ConfigError, match="total"):
        policies.load({"mail": {"retry": 3}, "pay": {"timeout": {"total": True}}}, environ={})
    assert kinds(policies, "pay") == ["Retry(2)", "Timeout(2)"]
    assert kinds(policies, "mail") == ["Retry(2)"]
