"""Strategies as configuration writes them: by kind, with what TOML can say."""

import builtins
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, cast

from isthmus.errors import ConfigError
from isthmus.resilience.budget import RetryBudget
from isthmus.resilience.strategy import Strategy

__all__ = ["MAKERS", "Budgets", "Maker", "key_of", "options_of"]


class Maker(NamedTuple):
    """How a strategy of some kind is made."""

    make: Callable[[dict[str, Any]], Strategy]
    bare: str
    """The option that a bare value is meant for, as in `timeout = 2`."""


class Budgets:
    """The retry budgets that configuration asks for. A policy has one for each wording: what its
    Retry and its Hedge say alike they share, and what is loaded again goes on."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], RetryBudget] = {}

    def of(self, policy: str, said: object) -> object:
        """Return the budget that a rate, or a table of options, asks for; else `said` itself."""
        if isinstance(said, Mapping):
            made = RetryBudget(**cast("Mapping[str, Any]", said))
        elif isinstance(said, int | float):
            made = RetryBudget(said)
        else:
            return said
        return self._known.setdefault((policy, repr(made)), made)


def key_of(strategy: Strategy) -> str:
    """Return how a strategy is called in configuration."""
    if strategy.kind == "timeout" and getattr(strategy, "total", False):
        return "total"
    return strategy.kind.replace(" ", "_")


def options_of(kind: str, said: object) -> dict[str, Any]:
    """Return what is said of a strategy, by option."""
    if isinstance(said, Mapping):
        return dict(cast("Mapping[str, Any]", said))
    if said is True or kind not in MAKERS:
        return {}
    return {MAKERS[kind].bare: said}


def _fallback(options: dict[str, Any]) -> Strategy:
    from isthmus.resilience.fallback import Fallback

    return Fallback(**options)


def _feature(options: dict[str, Any]) -> Strategy:
    from isthmus.resilience.feature import Feature

    switch = options.get("default")
    if switch in {"on", "off"}:
        options["default"] = switch == "on"
    elif not isinstance(switch, bool | None):
        raise ConfigError(f"Feature(default={switch!r}): expected 'on' or 'off'")
    return Feature(**options)


def _cache(options: dict[str, Any]) -> Strategy:
    from isthmus.resilience.cache import Cache

    return Cache(**options)


def _total(options: dict[str, Any]) -> Strategy:
    return _timeout({**options, "total": True})


def _retry(options: dict[str, Any]) -> Strategy:
    from isthmus.resilience.retry import Retry

    return Retry(**options)


def _hedge(options: dict[str, Any]) -> Strategy:
    from isthmus.resilience.hedge import Hedge

    return Hedge(**options)


def _circuit_breaker(options: dict[str, Any]) -> Strategy:
    from isthmus.resilience.circuit_breaker import CircuitBreaker

    return CircuitBreaker(**options)


def _rate_limit(options: dict[str, Any]) -> Strategy:
    from isthmus.resilience.rate_limit import RateLimit

    return RateLimit(**options)


def _bulkhead(options: dict[str, Any]) -> Strategy:
    from isthmus.resilience.bulkhead import Bulkhead

    return Bulkhead(**options)


def _timeout(options: dict[str, Any]) -> Strategy:
    from isthmus.resilience.timeout import Timeout

    return Timeout(**options)


def _chaos(options: dict[str, Any]) -> Strategy:
    from isthmus.resilience.chaos import Chaos

    named = options.get("error")
    if isinstance(named, str):
        options["error"] = _error(named)
    return Chaos(**options)


def _error(name: str) -> type[Exception]:
    """Return an error of Python's own by its name."""
    found = getattr(builtins, name, None)
    if not isinstance(found, type) or not issubclass(found, Exception):
        raise ConfigError(
            f"Chaos(error={name!r}): expected an error of Python's own, as 'ConnectionError'"
        )
    return found


MAKERS: dict[str, Maker] = {
    "fallback": Maker(_fallback, "instead"),
    "feature": Maker(_feature, "default"),
    "cache": Maker(_cache, "ttl"),
    "total": Maker(_total, "request"),
    "retry": Maker(_retry, "attempts"),
    "hedge": Maker(_hedge, "delay"),
    "circuit_breaker": Maker(_circuit_breaker, "failure_rate"),
    "rate_limit": Maker(_rate_limit, "rate"),
    "bulkhead": Maker(_bulkhead, "concurrency"),
    "timeout": Maker(_timeout, "request"),
    "chaos": Maker(_chaos, "latency"),
}
"""What may be configured, outermost first."""
