"""No more calls than a dependency agreed to: in all, or by whom they are made for."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, Literal, get_args

from isthmus.clock import Clock, MonotonicClock, Span, SystemClock
from isthmus.deadline import remaining
from isthmus.errors import ConfigError
from isthmus.resilience.errors import NotCalledError
from isthmus.resilience.facts import CallRejected, tell
from isthmus.resilience.meter import SET_BACK, Meter, SlidingWindow, TokenBucket
from isthmus.resilience.options import (
    INFINITE,
    is_number,
    is_whole,
    refuse_unless,
    refuse_unless_function,
    refuse_unless_whole,
    span_of,
)
from isthmus.resilience.outcome import trail
from isthmus.resilience.shared import (
    Reach,
    SharedState,
    Unreached,
    numbers_in,
    numbers_to_bytes,
    outside,
)
from isthmus.resilience.strategy import AsyncCall, Site, SyncCall, name_of

__all__ = ["Algorithm", "RateLimit", "RateLimitedError"]

Algorithm = Literal["token bucket", "sliding window"]
Key = Callable[..., Hashable]


class RateLimitedError(NotCalledError):
    """More calls than agreed; `retry_after` says when the next may pass."""


KEYS = 10_000


class RateLimit:
    """Lets `rate` calls through in `per` seconds, and refuses, or holds up, those above.

    Give one object to all who share the allowance. Safe from any thread, and from sync and async
    calls at once. A refused call raises RateLimitedError and was not made.

    Source: Turner, "New directions in communications", 1986 (leaky bucket as a meter); the
    reservation of waiting calls as Guava's RateLimiter has it.
    """

    kind = "rate limit"

    def __init__(
        self,
        rate: float,
        per: Span = 1.0,
        *,
        burst: int | None = None,
        algorithm: Algorithm = "token bucket",
        key: Key | None = None,
        wait: Span = 0.0,
        keys: int = KEYS,
        shared: SharedState | None = None,
        name: str = "",
        clock: Clock | None = None,
    ) -> None:
        """
        Args:
            rate: Calls in `per` seconds. Above 0; a whole number for a sliding window.
            per: Seconds. Above 0; default 1.
            burst: Calls that may come at once after a time of rest; of the token bucket.
                1 up; default `rate`, at least 1.
            algorithm: "token bucket" allows bursts and costs two numbers a key; "sliding
                window" lets no `per` seconds hold more than `rate`, and costs `rate` numbers.
            key: From the call's arguments to whom it is counted for, as
                `lambda order: order.customer`; each has the whole allowance. With `shared`, its
                `str` is part of a name there. Default: none, and all count together.
            wait: Most seconds a call waits for its turn, of those its deadline leaves. One
                that is cancelled while it waits has used its turn. 0 up; default 0.
            keys: How many keys are remembered, those that came last; one that was forgotten
                begins anew. 1 up; default 10,000.
            shared: Count together with all processes that give the same `name`; async only.
                Out of reach, each counts for itself. Default: none.
            name: Whose allowance it is, in the shared state. Default ""; needed by `shared`.
            clock: What time it goes by. Default: a monotonic one; with `shared`, the system's,
                which machines agree on.

        Raises:
            ConfigError: One of them is out of its range.
        """
        _refuse_unless(is_number(rate), "rate", rate, "a number")
        refuse_unless_function("RateLimit", "key", key)
        calls, span = float(rate), span_of("RateLimit", "per", per, above_0=True)
        _refuse_unless(0 < calls < INFINITE, "rate", rate, "more than 0")
        _refuse_unless(algorithm in get_args(Algorithm), "algorithm", algorithm, _ALGORITHMS)
        _refuse_unless(burst is None or is_whole(burst, 1), "burst", burst, "1 or more, or None")
        refuse_unless_whole("RateLimit", "keys", keys, 1)
        window = algorithm == "sliding window"
        if window:
            _refuse_unless(calls == int(calls), "rate", rate, "a whole number of calls")
            _refuse_unless(burst is None, "burst", burst, "None: a sliding window has no burst")
        if shared is not None:
            _refuse_unless(bool(name), "name", name, "a name, which the processes agree on")
        self.rate, self.per, self._burst = calls, span, burst
        self.algorithm, self.key, self.name = algorithm, key, name
        self.wait, self.keys = span_of("RateLimit", "wait", wait), keys
        self._clock = clock or (SystemClock() if shared else None)
        self._shared = shared
        self._reach = Reach(shared, f"{self.kind} {name}") if shared else None
        self._meters: OrderedDict[Hashable, Meter] = OrderedDict()
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        said = [f"{self.rate:g}, {self.per:g}"]
        said += [f"burst={self._burst}"] * (self._burst is not None)
        said += [f"algorithm={self.algorithm!r}"] * (self.algorithm != "token bucket")
        said += [f"key={self.key and name_of(self.key)}"] * (self.key is not None)
        said += [f"wait={self.wait:g}"] * bool(self.wait)
        said += [f"keys={self.keys}"] * (self.keys != KEYS)
        said += [f"name={self.name!r}"] * bool(self.name)
        return f"RateLimit({', '.join(said)})"

    @property
    def burst(self) -> int:
        """Calls that may come at once after a time of rest; of the token bucket."""
        return self._burst or max(1, int(self.rate))

    def options(self) -> dict[str, Any]:
        """Return what it was made with, by name."""
        return {
            "rate": self.rate,
            "per": self.per,
            "burst": self._burst,
            "algorithm": self.algorithm,
            "key": self.key,
            "wait": self.wait,
            "keys": self.keys,
            "shared": self._shared,
            "name": self.name,
            "clock": self._clock,
        }

    # -- without a policy ---------------------------------------------------------------------

    def allow(self, key: Hashable = None, *, now: float | None = None) -> float:
        """Count one call for `key` if it may pass, and return 0; else return the seconds to
        come back after. Of this process alone: where it is shared, ask `allow_shared`."""
        moment = (self._clock or _MONOTONIC).now() if now is None else now
        return self._reserve(key, moment, 0.0)

    async def allow_shared(self, key: Hashable = None) -> float:
        """Like `allow`, of all processes together, as far as they can be reached."""
        return await self._ask(key, 0.0, outside(self._clock or _MONOTONIC))

    def adopt(self, other: "RateLimit") -> None:
        """Take the numbers of `other`, and keep what was counted; another algorithm begins anew.
        `key`, `shared`, `name` and `clock` stay: they belong to the program."""
        with self._lock:
            same = self.algorithm == other.algorithm
            self.rate, self.per, self._burst = other.rate, other.per, other._burst
            self.algorithm, self.wait, self.keys = other.algorithm, other.wait, other.keys
            was, self._meters = self._meters, OrderedDict()
            for key, meter in was.items() if same else ():
                self._meters[key] = self._meter()
                self._meters[key].recall(meter.numbers())

    # -- the drivers --------------------------------------------------------------------------

    def around(self, call: AsyncCall, at: Site) -> AsyncCall:
        name = name_of(call)
        at, sleep, reserve = self._timed(at), at.clock.sleep, self._reserve
        now, ask, alone = at.clock.now, self._ask, self._reach is None

        async def guarded(*args: Any, **kwargs: Any) -> Any:
            whose = None if self.key is None else self.key(*args, **kwargs)
            patience = min(self.wait, remaining(INFINITE)) if self.wait else 0.0
            wait = reserve(whose, now(), patience) if alone else await ask(whose, patience, at)
            if wait > patience:
                raise self._refused(name, wait, at)
            if wait:
                await sleep(wait)
            return await call(*args, **kwargs)

        return guarded

    def around_sync(self, call: SyncCall, at: Site) -> SyncCall:
        if self._reach is not None:
            raise ConfigError(
                f"RateLimit(shared=..., name={self.name!r}) asks other processes, which "
                f"{name_of(call)} can't await; make it async, or leave out shared"
            )
        name = name_of(call)
        at, reserve, pause = self._timed(at), self._reserve, at.pause
        now = at.clock.now

        def guarded(*args: Any, **kwargs: Any) -> Any:
            whose = None if self.key is None else self.key(*args, **kwargs)
            patience = min(self.wait, remaining(INFINITE)) if self.wait else 0.0
            wait = reserve(whose, now(), patience)
            if wait > patience:
                raise self._refused(name, wait, at)
            if wait:
                pause(wait)
            return call(*args, **kwargs)

        return guarded

    def _timed(self, at: Site) -> Site:
        return at if self._clock is None else at._replace(clock=self._clock)

    def _refused(self, call: str, wait: float, at: Site) -> RateLimitedError:
        if told := trail.get():
            told.refused(self.kind)
        tell(at.signals, CallRejected, policy=at.policy, call=call, by=self.kind, retry_after=wait)
        return RateLimitedError(
            f"{self.name or at.policy or call}: more than {self.rate:g} calls in {self.per:g} s, "
            f"so that {call} was not called; it may be tried again in {wait:.3g} s",
            policy=at.policy,
            retry_after=wait,
        )

    # -- the state ----------------------------------------------------------------------------

    def _meter(self) -> Meter:
        if self.algorithm == "sliding window":
            return SlidingWindow(int(self.rate), self.per)
        return TokenBucket(self.rate / self.per, self.burst)

    def _reserve(self, key: Hashable, now: float, most: float) -> float:
        try:
            hash(key)
        except TypeError as error:
            raise ConfigError(
                f"{self!r} counts by key, and this one can't be hashed ({error}); give a number "
                "or a text, as key=lambda order: order.customer"
            ) from error
        with self._lock:
            meter = self._meters.get(key)
            if meter is None:
                meter = self._meters[key] = self._meter()
                while len(self._meters) > self.keys:
                    self._meters.popitem(last=False)
            else:
                self._meters.move_to_end(key)
            return meter.reserve(now, most)

    async def _ask(self, key: Hashable, most: float, at: Site) -> float:
        """Reserve in the state that processes share; in this one's, if it is out of reach."""
        now, reach = at.clock.now(), self._reach
        if reach is None:
            return self._reserve(key, now, most)

        def change(value: bytes) -> tuple[bytes | None, float]:
            meter = self._meter()
            meter.recall(numbers_in(value))
            wait = meter.reserve(now, most)
            return (None if wait > most else numbers_to_bytes(meter.numbers())), wait

        whose = f"{self.kind}/{self.name}/{'' if key is None else key}"
        wait = await reach.update(whose, change, at=at, ttl=self._rest + most)
        return self._reserve(key, now, most) if isinstance(wait, Unreached) else wait

    @property
    def _rest(self) -> float:
        """Seconds without a call after which a key is as if it had never come."""
        full = self.burst * self.per / self.rate
        return SET_BACK + (self.per if self.algorithm == "sliding window" else full)


_MONOTONIC = MonotonicClock()
_ALGORITHMS = " or ".join(get_args(Algorithm))


def _refuse_unless(ok: bool, option: str, value: object, wanted: str) -> None:  # noqa: FBT001
    refuse_unless(ok, "RateLimit", option, value, wanted)
