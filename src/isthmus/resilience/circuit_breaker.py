"""Stop calling what keeps failing, and ask it now and then whether it is back."""

import asyncio
import logging
import threading
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from isthmus.clock import Clock, MonotonicClock, Span
from isthmus.errors import ConfigError
from isthmus.resilience.circuit import Circuit, Phase, State
from isthmus.resilience.classify import blames
from isthmus.resilience.errors import CircuitOpenError, NotCalledError
from isthmus.resilience.facts import CallRejected, CircuitChanged, signals, tell
from isthmus.resilience.inline import Inline
from isthmus.resilience.options import Errors, ErrorTest, error_test, span_of
from isthmus.resilience.outcome import trail
from isthmus.resilience.rules import Rules, checked, defaults_of
from isthmus.resilience.strategy import AsyncCall, Site, SyncCall, name_of

if TYPE_CHECKING:
    from isthmus.resilience.circuit_sharing import CircuitSharing
    from isthmus.resilience.shared import SharedState

__all__ = ["CircuitBreaker"]

DAY = 86400.0
POLL = 1.0
"""Seconds after which `wait_ready` looks again whether a probe is back."""

R = TypeVar("R")
Listener = Callable[[State, State], object]

_log = logging.getLogger("isthmus.resilience")
_MONOTONIC = MonotonicClock()


class CircuitBreaker:
    """Refuses calls while too many of the last ones failed; then lets a few through to see.

    Give one object to everything that calls the same dependency: HTTP client, handlers, jobs.
    Closed, it opens when a failure makes the failure rate, or the run of failures, too high, or
    a call the share of slow calls. Open, it refuses with CircuitOpenError for `open_for`; then
    the next calls are probes. Enough that go well close it; one that fails opens it again. Safe
    from any thread, and from sync and async calls at once.

    Source: "Release It!", Michael Nygard, 2007; resilience4j, for windows and slow calls.
    """

    kind = "circuit breaker"

    name: str
    """For signals and errors; default "", and then the policy's is told."""
    counts: ErrorTest
    """Which errors speak against the dependency: types, or what tells of each. Default: all
    Exceptions but those that find fault with the request (HTTP 4xx without 408, 425 and 429, and
    the like of gRPC) and calls that an inner policy refused. A cancelled call never does."""
    results: Callable[[Any], bool] | None
    """Which results are failures, as `transient_result` tells of HTTP responses. Default: none."""

    def __init__(
        self,
        failure_rate: float | None = 0.5,
        *,
        window: Span = 10.0,
        calls: int | None = None,
        minimum: int = 10,
        consecutive: int | None = None,
        slow: Span | None = None,
        slow_rate: float = 1.0,
        open_for: Span = 5.0,
        growth: float = 1.0,
        open_cap: Span = 300.0,
        probes: int = 1,
        successes: int = 1,
        counts: Errors = blames,
        results: Callable[[Any], bool] | None = None,
        metrics_only: bool = False,
        shared: "SharedState | None" = None,
        refresh: Span = 1.0,
        name: str = "",
    ) -> None:
        """
        Args:
            failure_rate: Share of failures that opens it. Above 0, to 1; default 0.5; None: it
                does not open by rate.
            window: Seconds looked back on, to a tenth. Above 0; default 10.
            calls: Look back on so many calls instead. 1 up; default None.
            minimum: Calls in the window below which no rate is judged. 1 up; default 10.
            consecutive: Failures in a row that open it. 1 up; default None: they don't.
            slow: Seconds from which on a call is slow, though it went well. Above 0; default
                None: none is.
            slow_rate: Share of slow calls that opens it. Above 0, to 1; default 1.
            open_for: Seconds it refuses before it probes. Above 0; default 5.
            growth: What `open_for` is multiplied with each time that probes fail. 1 up;
                default 1.
            open_cap: Most seconds that `open_for` grows to. `open_for` up; default 300, or
                `open_for` if that is more.
            probes: Most calls at once while half-open. 1 up; default 1.
            successes: Probes that have to go well before it closes. 1 up; default 1.
            counts: See the attribute.
            results: See the attribute.
            metrics_only: Count and tell, but refuse nothing. Default False.
            shared: Be open together with all processes that give the same `name`; async only.
                Each counts, and probes, for itself. Default None.
            refresh: Seconds after which a call looks what others found out. Above 0; default 1.
            name: See the attribute.

        Raises:
            ConfigError: One of them is out of its range.
        """
        opens = span_of("CircuitBreaker", "open_for", open_for, above_0=True)
        self.name, self.results = name, results
        self.counts = error_test("CircuitBreaker", "counts", counts)
        self._lock = threading.Lock()
        self._listeners: tuple[Listener, ...] = ()
        self._shared, self._refresh = shared, refresh
        self._sharing: CircuitSharing | None = None
        if shared is not None:
            self._sharing = _sharing(shared, refresh, name)
        self._circuit = Circuit(
            checked(
                Rules(
                    failure_rate=failure_rate,
                    window=span_of("CircuitBreaker", "window", window, above_0=True),
                    calls=calls,
                    minimum=minimum,
                    consecutive=consecutive,
                    slow=None if slow is None else span_of("CircuitBreaker", "slow", slow),
                    slow_rate=slow_rate,
                    open_for=opens,
                    growth=growth,
                    open_cap=max(opens, span_of("CircuitBreaker", "open_cap", open_cap)),
                    probes=probes,
                    successes=successes,
                    metrics_only=metrics_only,
                    judged=results is not None,
                )
            )
        )

    def __repr__(self) -> str:
        rules = self._circuit.rules
        has, usual = rules._asdict(), defaults_of(rules)
        said = [f"{option}={has[option]!r}" for option in usual if has[option] != usual[option]]
        named = [f"name={self.name!r}"] if self.name else []
        return f"CircuitBreaker({', '.join(said + named)})"

    # -- the state ----------------------------------------------------------------------------

    @property
    def state(self) -> State:
        """closed, open, half-open or isolated. It stays open until a call finds it is time."""
        return self._circuit.state

    def isolate(self) -> None:
        """Refuse every call, until `reset`."""
        self._step(None, lambda _: self._circuit.isolate())

    def reset(self) -> None:
        """Close it, whatever was, and forget the failures."""
        self._step(None, lambda _: self._circuit.reset())

    def listen(self, listener: Callable[[State, State], object]) -> Callable[[], None]:
        """Call `listener(was, now)` after each change of state, in the thread that made it;
        return what ends that."""

        def mine(was: State, now: State) -> None:
            listener(was, now)

        with self._lock:
            self._listeners = (*self._listeners, mine)

        def leave() -> None:
            with self._lock:
                self._listeners = tuple(one for one in self._listeners if one is not mine)

        return leave

    def blocked_for(self, *, clock: Clock = _MONOTONIC) -> float | None:
        """Return the seconds until a call may pass; 0 if one may; None if that can't be told:
        it is isolated, or its probes are out. `clock` is that of the policies it is in."""
        with self._lock:
            return self._circuit.blocked_for(clock.now())

    async def wait_ready(self, *, clock: Clock = _MONOTONIC) -> None:
        """Return as soon as a call may pass, be it as a probe: until then, a consumer that
        would only fail had better not begin."""
        loop, changed = asyncio.get_running_loop(), asyncio.Event()
        leave = self.listen(lambda _was, _now: loop.call_soon_threadsafe(changed.set))
        try:
            while (left := self.blocked_for(clock=clock)) != 0:
                changed.clear()
                await clock.wait(changed, POLL if left is None else min(left, DAY))
        finally:
            leave()

    def options(self) -> dict[str, Any]:
        """Return what it was made with, by name."""
        rules = self._circuit.rules._asdict()
        del rules["judged"]
        said = {"counts": self.counts, "results": self.results, "name": self.name}
        return {**rules, **said, "shared": self._shared, "refresh": self._refresh}

    def adopt(self, other: "CircuitBreaker") -> None:
        """Take the options of `other`, and keep the state. Windows of another size begin anew."""
        with self._lock:
            self.name, self.counts, self.results = other.name, other.counts, other.results
            self._circuit.adopt(other._circuit.rules)

    # -- the drivers --------------------------------------------------------------------------

    def around(self, call: AsyncCall, at: Site) -> AsyncCall:
        alone = self._around(call, at)
        return alone if self._sharing is None else self._together(alone, self._sharing, at)

    def _together(self, alone: AsyncCall, sharing: "CircuitSharing", at: Site) -> AsyncCall:
        circuit = self._circuit

        async def learn() -> None:
            was = circuit.state
            await sharing.learn(circuit, at)
            if circuit.state != was:
                self._tell(was, circuit.state, at)

        async def guarded(*args: Any, **kwargs: Any) -> Any:
            await learn()
            try:
                result = await alone(*args, **kwargs)
            except Exception:
                await sharing.tell(circuit, at)
                raise
            await sharing.tell(circuit, at)
            return result

        return guarded

    def _around(self, call: AsyncCall, at: Site) -> AsyncCall:
        circuit, now, name = self._circuit, at.clock.now, name_of(call)

        async def guarded(*args: Any, **kwargs: Any) -> Any:
            phase, began = circuit.phase, 0.0
            if not phase.plain:
                phase, began = self._admit(name, at), now()
            try:
                result = await call(*args, **kwargs)
            except BaseException as error:
                self._raised(error, phase, began, at)
                raise
            moment, tally = now(), phase.tally
            if phase.plain and moment < tally.turn_at:
                tally.goods += 1
                phase.run = 0
            else:
                self._returned(result, phase, began, at)
            return result

        return guarded

    def inline(self, call: AsyncCall, at: Site) -> Inline | None:
        """Return the lines of `around`."""
        if self._sharing is not None:
            return None
        return Inline(
            names={
                "circuit_": self._circuit,
                "now_": at.clock.now,
                "admit_": partial(self._admit, name_of(call), at),
                "returned_": self._returned,
                "raised_": self._raised,
                "at_": at,
            },
            before="""
                phase_, began_ = circuit_.phase, 0.0
                if not phase_.plain:
                    phase_, began_ = admit_(), now_()
            """,
            after="""
                moment_, tally_ = now_(), phase_.tally
                if phase_.plain and moment_ < tally_.turn_at:
                    tally_.goods += 1
                    phase_.run = 0
                else:
                    returned_(result, phase_, began_, at_)
            """,
            failed="""
                raised_(error, phase_, began_, at_)
                raise
            """,
        )

    def around_sync(self, call: SyncCall, at: Site) -> SyncCall:
        if self._sharing is not None:
            raise ConfigError(
                f"CircuitBreaker(shared=...): the state that processes share is awaited, and "
                f"{name_of(call)} can't await; make it async, or leave out shared"
            )
        circuit, now, name = self._circuit, at.clock.now, name_of(call)

        def guarded(*args: Any, **kwargs: Any) -> Any:
            phase, began = circuit.phase, 0.0
            if not phase.plain:
                phase, began = self._admit(name, at), now()
            try:
                result = call(*args, **kwargs)
            except BaseException as error:
                self._raised(error, phase, began, at)
                raise
            moment, tally = now(), phase.tally
            if phase.plain and moment < tally.turn_at:
                tally.goods += 1
                phase.run = 0
            else:
                self._returned(result, phase, began, at)
            return result

        return guarded

    def _admit(self, call: str, at: Site) -> Phase:
        """Raises CircuitOpenError if the call may not begin."""
        phase = self._step(at, self._circuit.admit)
        if phase is None:
            raise self._refused(call, at)
        return phase

    def _refused(self, call: str, at: Site) -> CircuitOpenError:
        wait = self.blocked_for(clock=at.clock)
        if told := trail.get():
            told.refused(self.kind)
        tell(at.signals, CallRejected, policy=at.policy, call=call, by=self.kind, retry_after=wait)
        again = "" if wait is None else f"; it may be tried again in {wait:.3g} s"
        return CircuitOpenError(
            f"{self.name or at.policy or call}: the circuit is {self.state}, so that {call} was "
            f"not called{again}",
            policy=at.policy,
            retry_after=wait,
        )

    def _returned(self, result: Any, phase: Phase, began: float, at: Site) -> None:
        try:
            bad = self.results is not None and self.results(result)
        except BaseException:
            self._step(at, lambda _: self._circuit.released(phase))
            raise
        tells = self._circuit.failed if bad else self._circuit.succeeded
        self._step(at, lambda now: tells(phase, now, now - began))

    def _raised(self, error: BaseException, phase: Phase, began: float, at: Site) -> None:
        """Count an error: as a failure, or as an answer all the same, or not at all."""
        circuit = self._circuit
        if not isinstance(error, Exception) or isinstance(error, NotCalledError):
            return self._step(at, lambda _: circuit.released(phase))
        try:
            tells = circuit.failed if self.counts(error) else circuit.succeeded
        except BaseException:
            self._step(at, lambda _: circuit.released(phase))
            raise
        self._step(at, lambda now: tells(phase, now, now - began if began else 0.0))

    def _step(self, at: Site | None, step: Callable[[float], R]) -> R:
        """Have the circuit do `step`, alone, and tell if that changed its state."""
        now = 0.0 if at is None else at.clock.now()
        with self._lock:
            was = self._circuit.state
            done = step(now)
            state = self._circuit.state
        if state != was:
            self._tell(was, state, at)
        return done

    def _tell(self, was: State, now: State, at: Site | None) -> None:
        policy, hub = ("", signals) if at is None else (at.policy, at.signals)
        tell(hub, CircuitChanged, policy=policy, circuit=self.name, was=was, now=now)
        for listener in self._listeners:
            try:
                listener(was, now)
            except Exception:  # noqa: BLE001
                _log.exception("listener %r of %r failed", listener, self)


def _sharing(state: "SharedState", refresh: Span, name: str) -> "CircuitSharing":
    from isthmus.resilience.circuit_sharing import CircuitSharing

    if not name:
        raise ConfigError("CircuitBreaker(shared=...): expected a name=, by which it is shared")
    every = span_of("CircuitBreaker", "refresh", refresh, above_0=True)
    return CircuitSharing(state, name, every=every)
