"""A policy around a handler. It decides whether the handler is called, never how often.

An attempt is one transaction. A second call would write into what the first one left, so that
trying again is the handler's own `retry=`, which begins anew.
"""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from isthmus.errors import ConfigError, ConflictError, LeaseLostError, SchemaError
from isthmus.handling.consuming.verdicts import Postpone, Reject
from isthmus.handling.unit import current

if TYPE_CHECKING:
    from isthmus.resilience import Policy

__all__ = ["guarding", "refuse_what_cannot_guard"]

Function = Callable[..., Awaitable[Any]]

CANNOT = {
    "retry": (
        "it would call the handler again in the transaction of the attempt that failed; the "
        "handler's own retry= tries again in a new one"
    ),
    "hedge": "two calls at once would write in one transaction; hedge the call inside the handler",
    "fallback": (
        "what the handler wrote before it failed would be committed; catch the error inside, or "
        "guard the call there"
    ),
    "cache": "a message would be done without being handled; cache the call inside the handler",
    "feature": (
        "a message would be done without being handled, or fail; pause the handler instead, as "
        "by `await orders.pause()`"
    ),
}
"""Kinds of strategies that make no sense around a handler, and the way out."""

NO_FAULT = (Reject, Postpone, ConflictError, LeaseLostError, SchemaError)
"""What a handler raises about its message, and nothing about the health of whom it calls."""


def refuse_what_cannot_guard(policy: object) -> None:
    """Raises ConfigError if `policy` is none, or has a strategy that cannot guard a handler."""
    from isthmus.resilience import Policy

    if not isinstance(policy, Policy):
        raise ConfigError(f"policy={policy!r}: expected a Policy, as Policy(CircuitBreaker())")
    for strategy in policy.strategies:
        if why := CANNOT.get(strategy.kind):
            kind = type(strategy).__name__
            raise ConfigError(f"policy={policy!r}: {kind} cannot guard a handler: {why}")


def guarding(policy: "Policy") -> Callable[[Function, str], Function]:
    """Return what puts `policy` around a function that handles, known by a name."""

    def guarded(function: Function, name: str) -> Function:
        called = set[int]()

        async def call(*args: Any, **kwargs: Any) -> Exception | None:
            unit = id(current.get())
            if unit in called:  # a Retry that its configuration added later
                raise ConfigError(f"{name}: a Retry cannot guard a handler: {CANNOT['retry']}")
            called.add(unit)
            try:
                await function(*args, **kwargs)
            except NO_FAULT as verdict:
                return verdict
            return None

        call.__name__ = name
        chain = policy(call)

        async def handled(*args: Any, **kwargs: Any) -> None:
            try:
                verdict = await chain(*args, **kwargs)
            finally:
                called.discard(id(current.get()))
            if verdict is not None:
                raise verdict

        return handled

    return guarded
