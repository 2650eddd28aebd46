"""Calls guarded by isthmus and by its peers: each as its documentation advises, and all alike.

A chain is a bulkhead of 100, a circuit breaker that opens after 5 failures in a row for 30 s, 3
attempts and a timeout of 5 s for each, outermost first. Each is built in the running loop, for
one function of its own; with nobody listening.
"""

import asyncio
from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import Any, NamedTuple

from isthmus.resilience import (
    Bulkhead,
    CircuitBreaker,
    Fallback,
    Hedge,
    Policy,
    RateLimit,
    Retry,
    Timeout,
)

__all__ = ["BREAKERS", "CHAINS", "MISSING", "STRATEGIES", "SYNC_BREAKERS", "Guard"]

Fn = Callable[[int], Any]


class Guard(NamedTuple):
    needs: str
    """The package that has to be there."""
    around: Callable[[Fn], Fn]


LIMIT, FAILURES, OPEN_FOR, ATTEMPTS, TIMEOUT = 100, 5, 30.0, 3, 5.0


def breaker() -> CircuitBreaker:
    return CircuitBreaker(consecutive=FAILURES, open_for=OPEN_FOR)


def chain(call: Fn) -> Fn:
    return Policy(Bulkhead(LIMIT), breaker(), Retry(ATTEMPTS), Timeout(TIMEOUT))(call)


def by_hyx(call: Fn) -> Fn:
    call = _of("hyx.timeout").timeout(TIMEOUT)(call)
    call = _of("hyx.retry").retry(on=Exception, attempts=ATTEMPTS)(call)
    call = hyx_breaker(call)
    return _of("hyx.bulkhead").bulkhead(max_concurrency=LIMIT, max_capacity=LIMIT)(call)


def hyx_breaker(call: Fn) -> Fn:
    return _of("hyx.circuitbreaker").consecutive_breaker(
        exceptions=Exception, failure_threshold=FAILURES, recovery_time_secs=OPEN_FOR
    )(call)


def by_interlock(call: Fn) -> Fn:
    build = _of("interlock").Pipeline.builder().bulkhead(LIMIT).circuit_breaker(_interlock())
    return build.retry(attempts=ATTEMPTS).timeout(TIMEOUT).build()(call)


def interlock_breaker(call: Fn) -> Fn:
    return _interlock()(call)


def _interlock() -> Any:
    """Return its breaker, which knows no runs of failures, but rates, as ours does besides."""
    config = _of("interlock").Config(wait_duration_in_open=OPEN_FOR)
    return _of("interlock").CircuitBreaker(name="bench", config=config)


def by_tenacity(call: Fn) -> Fn:
    of = _of("tenacity")
    stop, wait = of.stop_after_attempt(ATTEMPTS), of.wait_exponential_jitter()
    return of.retry(stop=stop, wait=wait)(_timed(call))


def by_stamina(call: Fn) -> Fn:
    return _of("stamina").retry(on=Exception, attempts=ATTEMPTS)(_timed(call))


def _timed(call: Fn) -> Fn:
    """Return `call` within the library's own timeout, which those two have none of."""

    async def timed(x: int) -> Any:
        async with asyncio.timeout(TIMEOUT):
            return await call(x)

    return timed


def by_purgatory(call: Fn) -> Fn:
    return _of("purgatory").AsyncCircuitBreakerFactory(FAILURES, OPEN_FOR)("bench")(call)


def by_purgatory_sync(call: Fn) -> Fn:
    return _of("purgatory").SyncCircuitBreakerFactory(FAILURES, OPEN_FOR)("bench")(call)


def by_aiobreaker(call: Fn) -> Fn:
    span = _of("datetime").timedelta(seconds=OPEN_FOR)
    return _of("aiobreaker").CircuitBreaker(FAILURES, span)(call)


def by_pybreaker(call: Fn) -> Fn:
    return _of("pybreaker").CircuitBreaker(FAILURES, OPEN_FOR)(call)


def _of(module: str) -> Any:
    return import_module(module)


STRATEGIES: Mapping[str, Callable[[Fn], Fn]] = {
    "bulkhead": Policy(Bulkhead(LIMIT)),
    "retry": Policy(Retry(ATTEMPTS)),
    "timeout": Policy(Timeout(TIMEOUT)),
    "timeout.precise": Policy(Timeout(TIMEOUT, precise=True)),
    "rate_limit": Policy(RateLimit(1e9, burst=10**9)),
    "fallback": Policy(Fallback(None)),
    "hedge": Policy(Hedge(TIMEOUT)),
}
"""The other strategies, each by itself."""

_CHAINS = {
    "isthmus": Guard("isthmus", chain),
    "hyx": Guard("hyx", by_hyx),
    "interlock": Guard("interlock", by_interlock),
    "tenacity_timeout": Guard("tenacity", by_tenacity),
    "stamina_timeout": Guard("stamina", by_stamina),
}
_BREAKERS = {
    "isthmus": Guard("isthmus", Policy(breaker())),
    "aiobreaker": Guard("aiobreaker", by_aiobreaker),
    "purgatory": Guard("purgatory", by_purgatory),
    "hyx": Guard("hyx", hyx_breaker),
    "interlock": Guard("interlock", interlock_breaker),
}
_SYNC_BREAKERS = {
    "isthmus": Guard("isthmus", Policy(breaker())),
    "pybreaker": Guard("pybreaker", by_pybreaker),
    "purgatory": Guard("purgatory", by_purgatory_sync),
    "interlock": Guard("interlock", interlock_breaker),
}


def _there(guards: Mapping[str, Guard]) -> dict[str, Callable[[Fn], Fn]]:
    return {name: guard.around for name, guard in guards.items() if find_spec(guard.needs)}


CHAINS, BREAKERS, SYNC_BREAKERS = map(_there, (_CHAINS, _BREAKERS, _SYNC_BREAKERS))

MISSING = sorted({
    guard.needs
    for guard in (*_CHAINS.values(), *_BREAKERS.values(), *_SYNC_BREAKERS.values())
    if not find_spec(guard.needs)
})  # fmt: skip
"""Peers that are left out, as they are not installed."""
