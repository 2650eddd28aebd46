"""Reliability decisions chained around a call: the first is the outermost."""

import inspect
import time
from collections.abc import Awaitable, Callable, Hashable, Iterator
from functools import partial
from types import CoroutineType, FunctionType
from typing import Any, ParamSpec, Self, TypedDict, TypeVar, cast, overload

from isthmus.clock import Clock, MonotonicClock
from isthmus.errors import ConfigError
from isthmus.resilience import facts
from isthmus.resilience.advice import refuse_around_opening, refuse_what_cannot_work
from isthmus.resilience.guarded import guard, is_async, is_opening, opens
from isthmus.resilience.inline import Inline, Inlines, inlined
from isthmus.resilience.outcome import Outcome, Trail, apart, apart_sync, trail
from isthmus.resilience.strategy import AsyncCall, Site, Strategy, SyncCall, name_of
from isthmus.resilience.timeout import Timeout
from isthmus.signals import Signals

__all__ = ["Policy", "PolicyWords", "for_operation"]

P = ParamSpec("P")
R = TypeVar("R")

Call = Callable[..., Any]

REMEMBERED = 256
"""Functions whose chains are kept for `policy(fn, ...)`; they are few, as they are no closures."""

_MONOTONIC = MonotonicClock()


def _chance() -> float:
    """Return a random number from 0 to 1."""
    from random import random  # a millisecond to import, for the one who waits

    return random()


class PolicyWords(TypedDict, total=False):
    """What may be said of a Policy, beside its strategies."""

    name: str
    idempotent: bool
    as_written: bool
    clock: Clock
    draw: Callable[[], float]
    pause: Callable[[float], None]
    signals: Signals


class Policy:
    """Guards calls, of async functions and of others, with the same objects:

        pay = Policy(Retry(3, delay=0.1), CircuitBreaker(), Bulkhead(10), Timeout(2), name="pay")

        @pay                                   # a function, generator or context manager
        async def charge(order): ...

        receipt = await pay(charge_at, order)  # one call, with arguments; without: pay.call(f)

    A call that may have had its effect is repeated only if it is declared idempotent:
    `@pay(idempotent=True)`, `pay.call(fn, *args, idempotent=True)`, or by being given an
    `idempotency_key`. The state of breakers, bulkheads and the like is in those objects: two
    policies that share one share its state.
    """

    def __init__(
        self,
        *strategies: "Strategy | Policy",
        name: str = "",
        idempotent: bool = False,
        as_written: bool = False,
        clock: Clock = _MONOTONIC,
        draw: Callable[[], float] = _chance,
        pause: Callable[[float], None] = time.sleep,
        signals: Signals = facts.signals,
    ) -> None:
        """
        Args:
            strategies: Retry, Timeout and so on, and policies, outermost first.
            name: For signals, errors and logs.
            idempotent: Whether calling any of its functions twice has one effect.
            as_written: Accept an order that is advised against.
            clock: Of all spans. Virtual in tests and simulations.
            draw: A random number from 0 to 1, for jitter.
            pause: Sleep of calls that block their thread.
            signals: Whom to tell.

        Raises:
            ConfigError: It is no strategy, or the order cannot work.
        """
        _refuse_unless_bool(idempotent)
        for strategy in strategies:
            _refuse_unless_strategy(strategy)
        self.name = name
        self._site = Site(name, clock, pause, draw, signals, idempotent)
        self._strategies = cast("tuple[Strategy, ...]", strategies)
        self._chains: dict[Hashable, Call] = {}
        self._other: Self | None = None
        if not as_written:
            refuse_what_cannot_work(self.strategies)

    @property
    def strategies(self) -> tuple[Strategy, ...]:
        """All of them, outermost first; those of policies within among them."""
        found: list[Strategy] = []
        for strategy in self._strategies:
            found += strategy.strategies if isinstance(strategy, Policy) else (strategy,)
        return tuple(found)

    @property
    def parts(self) -> tuple[Strategy, ...]:
        """As `strategies`, but policies within unopened. The same object until they change."""
        return self._strategies

    def __repr__(self) -> str:
        said = [repr(strategy) for strategy in self._strategies]
        said += [f"name={self.name!r}"] if self.name else []
        return f"Policy({', '.join(said)})"

    def describe(self) -> str:
        """Return what it does, a line for each strategy, outermost first, with its state."""
        lines = [self.name or "a policy"]
        for number, strategy in enumerate(self.strategies, 1):
            state = getattr(strategy, "state", "")
            shown = f" is {state}" if isinstance(state, str) and state else ""
            lines.append(f"  {number}. {strategy.kind}{shown}: {strategy!r}")
        return "\n".join(lines)

    # -- using it -----------------------------------------------------------------------------

    @overload
    def __call__(self, /, *, idempotent: bool) -> "Policy": ...
    @overload
    def __call__(self, fn: Callable[P, R], /) -> Callable[P, R]: ...
    @overload
    def __call__(self, fn: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R: ...
    def __call__(self, fn: Call | None = None, /, *args: Any, **kwargs: Any) -> Any:
        """Guard a function, as a decorator; or call it with arguments, guarded; or say that what
        follows is idempotent."""
        if fn is None:
            if kwargs.keys() != {"idempotent"}:
                raise ConfigError(
                    "a Policy is called with a function, or with idempotent=True: write @policy "
                    "without parentheses, or @policy(idempotent=True)"
                )
            return self.with_(**kwargs)
        if not args and not kwargs:
            if not callable(fn):
                raise _no_function(fn)
            return guard(fn, self._bound)
        return self._chain(fn)(*args, **kwargs)

    def with_(self, *, idempotent: bool) -> "Policy":
        """Return the same policy, with the same state, for functions of that kind."""
        _refuse_unless_bool(idempotent)
        if idempotent == self._site.idempotent:
            return self
        if self._other is None:
            self._other = self._twin()
            self._other._site = self._site._replace(idempotent=idempotent)
        return self._other

    def call(
        self, fn: Callable[..., R], /, *args: Any, idempotent: bool | None = None, **kwargs: Any
    ) -> R:
        """Call `fn` guarded; await what it returns if `fn` is async. `idempotent` is said of
        this call; None: as it is of the policy."""
        one = self if idempotent is None else self.with_(idempotent=idempotent)
        return one._chain(fn)(*args, **kwargs)

    async def outcome(
        self, fn: Callable[P, Awaitable[R]], /, *args: P.args, **kwargs: P.kwargs
    ) -> Outcome[R]:
        """Call `fn` guarded and return what happened, be it an error. Only cancellation and the
        like of it are raised."""
        call, told = self._chain(fn, told=True), Trail()
        token = trail.set(told)
        try:
            value = await call(*args, **kwargs)
        except Exception as error:  # noqa: BLE001
            return told.outcome(None, error)
        finally:
            trail.reset(token)
        return told.outcome(value)

    def outcome_sync(self, fn: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Outcome[R]:
        """Like `outcome`, for a function that blocks its thread."""
        if is_async(fn):
            raise ConfigError(f"{name_of(fn)} is async: await policy.outcome(...) instead")
        call, told = self._chain(fn, told=True), Trail()
        token = trail.set(told)
        try:
            value = call(*args, **kwargs)
        except Exception as error:  # noqa: BLE001
            return told.outcome(None, error)
        finally:
            trail.reset(token)
        return told.outcome(value)

    def for_(self, *operations: str) -> Self:
        """Return the same policy, with the same state, for an operation, named from the most to
        the least special, as `for_("POST /charges", "write")`: see `Timeout.for_`."""
        twin = self._twin()
        twin._strategies = for_operation(self._strategies, operations)
        return twin

    def _twin(self) -> Self:
        twin = object.__new__(type(self))
        twin.__dict__.update(self.__dict__, _chains={}, _other=None)
        return twin

    # -- being a strategy ---------------------------------------------------------------------

    @property
    def kind(self) -> str:
        return "policy"

    def around(self, call: AsyncCall, at: Site) -> AsyncCall:
        """Bind its strategies within another policy: by that one's clock, under its own name."""
        for strategy, inner in self._placed(at._replace(policy=self.name or at.policy)):
            call = named(strategy.around(call, inner), call)
        return call

    def around_sync(self, call: SyncCall, at: Site) -> SyncCall:
        for strategy, inner in self._placed(at._replace(policy=self.name or at.policy)):
            call = named(strategy.around_sync(call, inner), call)
        return call

    def _placed(self, at: Site) -> Iterator[tuple[Strategy, Site]]:
        """Return its strategies, innermost first, each with where it is."""
        placed: list[tuple[Strategy, Site]] = []
        for strategy in self._strategies:
            placed.append((strategy, at))
            at = _counted(strategy, at)
        return reversed(placed)

    # -- binding ------------------------------------------------------------------------------

    def _bound(
        self,
        fn: Call,
        is_async: bool,  # noqa: FBT001
        *,
        lasts: bool = True,
        told: bool = False,
    ) -> Call:
        """Return `fn` within its strategies; in one coroutine, if that is worth the making."""
        if is_opening(fn):
            refuse_around_opening(self.strategies, name_of(fn))
        at = Site(*self._site[:-2], fn)  # `_replace` takes a microsecond
        if not is_async:
            plain = _no_coroutine(fn)
            return self.around_sync(apart_sync(plain) if told else plain, at)
        call = apart(_plain(fn)) if told else _plain(fn)
        return self._compiled(call, at) if lasts else self.around(call, at)

    def _compiled(self, call: AsyncCall, at: Site) -> AsyncCall:
        """Return `call` within as few coroutines as can be."""
        within, lines = call, list[Inline]()
        for strategy, here in self._placed(at):
            line = strategy.inline(within, here) if isinstance(strategy, Inlines) else None
            if line is None:
                call = within = named(strategy.around(inlined(call, lines), here), call)
                lines = []
            else:
                lines = [line, *lines]
                within = named(strategy.around(within, here), call)
        return inlined(call, lines)

    def _chain(self, fn: Call, *, told: bool = False) -> Call:
        """Return `fn` bound; as it was before, if it is a function of some module."""
        if not callable(fn):
            raise _no_function(fn)
        lasts = _lasts(fn)
        key = (fn, told) if told else fn
        found = self._chains.get(key) if lasts else None
        if found is None:
            if opens(fn):
                found = guard(fn, partial(self._bound, lasts=lasts, told=told))
            else:
                found = self._bound(fn, is_async(fn), lasts=lasts, told=told)
            if lasts and len(self._chains) < REMEMBERED:
                self._chains[key] = found
        return found


def _no_function(thing: object) -> ConfigError:
    if isinstance(thing, CoroutineType):
        thing.close()
        return ConfigError(
            f"{thing.__qualname__}(...) is called already, and would run unguarded: give the "
            f"policy the function and its arguments, as policy({thing.__name__}, ...)"
        )
    return ConfigError(f"expected a function to guard, got {thing!r}")


def _refuse_unless_bool(idempotent: object) -> None:
    if not isinstance(idempotent, bool):
        raise ConfigError(f"idempotent={idempotent!r}: expected True or False")


def named(guarded: Call, call: Call) -> Call:
    """Return `guarded` under the name of what it guards."""
    if isinstance(guarded, FunctionType) and guarded is not call:
        guarded.__name__ = name_of(call)
    return guarded


def _counted(strategy: Strategy, at: Site) -> Site:
    """Return where what is inside of `strategy` is: whose budgets have counted the call."""
    if isinstance(strategy, Policy):
        for one in strategy.strategies:
            at = _counted(one, at)
        return at
    budget = getattr(strategy, "budget", None)
    return at if budget is None else at._replace(counted=(*at.counted, budget))


def _lasts(fn: Call) -> bool:
    """Return whether `fn` is a function that is there as long as its module."""
    return isinstance(fn, FunctionType) and fn.__closure__ is None and fn.__name__ != "<lambda>"


def _plain(fn: Call) -> AsyncCall:
    """Return `fn`, or a function like it if it is an object that can't be given a name."""
    if inspect.isfunction(fn):
        return fn

    async def call(*args: Any, **kwargs: Any) -> Any:
        return await fn(*args, **kwargs)

    call.__name__ = name_of(fn)
    return call


def _no_coroutine(fn: Call) -> SyncCall:
    """Return `fn`, refusing what would be awaited outside of the policy, and so unguarded."""

    def call(*args: Any, **kwargs: Any) -> Any:
        result = fn(*args, **kwargs)
        if result.__class__ is CoroutineType:
            result.close()
            raise ConfigError(
                f"{name_of(fn)} is no async function, but returned a coroutine, which would run "
                "unguarded: give the policy the async function itself"
            )
        return result

    call.__name__ = name_of(fn)
    return call


def for_operation(
    strategies: tuple[Strategy, ...], operations: tuple[str, ...]
) -> tuple[Strategy, ...]:
    """Return the strategies, those that make a difference between operations for this one."""
    return tuple(
        strategy.for_(*operations) if isinstance(strategy, Timeout | Policy) else strategy
        for strategy in strategies
    )


def _refuse_unless_strategy(strategy: object) -> None:
    if isinstance(strategy, type):
        raise ConfigError(
            f"Policy({strategy.__name__}): it is a class; write {strategy.__name__}()"
        )
    if not hasattr(strategy, "around") or not hasattr(strategy, "around_sync"):
        raise ConfigError(f"Policy({strategy!r}): expected strategies, as Retry(3), Timeout(2)")
