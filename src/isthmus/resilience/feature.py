"""What an application can do without, and how it is switched off while it runs."""

import logging
import re
from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple, ParamSpec, Protocol, TypeVar

from isthmus.clock import Clock, MonotonicClock, Span
from isthmus.resilience import facts
from isthmus.resilience.errors import CircuitOpenError, NotCalledError
from isthmus.resilience.facts import CallRejected, PolicySignal, tell
from isthmus.resilience.fallback import Fallback
from isthmus.resilience.options import refuse_unless, refuse_unless_flag, span_of
from isthmus.resilience.outcome import trail
from isthmus.resilience.policy import Policy
from isthmus.resilience.shared import Reach, SharedState, Unreached, outside, update
from isthmus.resilience.strategy import AsyncCall, Site, SyncCall, name_of
from isthmus.signals import Signals

__all__ = ["Feature", "FeatureOffError", "FeatureSwitched"]

P = ParamSpec("P")
R = TypeVar("R")

ABSENT: Any = object()


class FeatureOffError(NotCalledError):
    """The feature is switched off; the same call fails until it is switched on."""

    retryable: ClassVar[bool] = False

    def __init__(
        self, message: str, *, policy: str = "", feature: str = "", reason: str = ""
    ) -> None:
        super().__init__(message, policy=policy)
        self.feature = feature
        self.reason = reason
        """Why it is off, in the words of who switched it; "" if there are none."""


class FeatureSwitched(PolicySignal, frozen=True, kw_only=True):
    """A feature was switched in this process, here or by another."""

    level: ClassVar[int] = logging.WARNING

    feature: str
    on: bool
    reason: str


class Breaker(Protocol):
    """What Feature asks of a CircuitBreaker."""

    def blocked_for(self, *, clock: Clock) -> float | None: ...


class Word(NamedTuple):
    """The last that was said about a feature, of all processes."""

    number: int = 0
    on: bool = True
    reason: str = ""

    def to_bytes(self) -> bytes:
        return f"{self.number} {'on' if self.on else 'off'} {self.reason}".encode()

    @classmethod
    def read(cls, value: bytes) -> "Word | None":
        """Return what was said; None if nothing, or nothing that can be read."""
        number, _, rest = value.decode(errors="replace").partition(" ")
        switch, _, reason = rest.partition(" ")
        if not re.fullmatch("[0-9]{1,18}", number) or switch not in {"on", "off"}:
            return None
        return cls(int(number), switch == "on", reason)


class Feature:
    """A part of the application that can be switched off, by hand or by a circuit breaker.

        recommendations = Feature("recommendations", fallback=[])

        @recommendations
        async def recommended(user): ...

        recommendations.off("the model is being replaced")

    Off, what it guards is not called: its fallback is given, and noted as degraded by the
    feature's name; without one, FeatureOffError is raised. With a `breaker` it is off while that
    one lets nothing through; the feature only looks: what counts the calls is the breaker in their
    own policy. Safe from any thread.
    """

    kind = "feature"

    def __init__(
        self,
        name: str,
        *,
        default: bool = True,
        breaker: Breaker | None = None,
        fallback: Any = ABSENT,
        shared: SharedState | None = None,
        refresh: Span = 5.0,
        clock: Clock | None = None,
        signals: Signals = facts.signals,
    ) -> None:
        """
        Args:
            name: For people, signals and the shared state.
            default: Whether it is on until somebody says otherwise. Default True.
            breaker: A circuit breaker whose open circuit is as good as off. Default: none.
            fallback: What to give while it is off; a value, a function or a LastKnownGood, as
                Fallback takes it. Default: none; FeatureOffError is raised.
            shared: Where processes tell each other; see `off_everywhere`. Out of reach, the last
                word that was heard holds. Default: none.
            refresh: Seconds until a guarded async call asks again what others said. Calls that
                block their thread don't ask: have a task call `refresh`. 0 up; default 5.
            clock: What `breaker` goes by, where `enabled` is asked. Default: a monotonic one.
            signals: Whom to tell that it was switched.

        Raises:
            ConfigError: One of them is out of its range.
        """
        refuse_unless(bool(name), "Feature", "name", name, "a name")
        refuse_unless_flag("Feature", "default", default)
        watched = breaker is None or hasattr(breaker, "state")
        refuse_unless(watched, "Feature", "breaker", breaker, "a CircuitBreaker, or None")
        self.name, self.breaker, self.default = name, breaker, default
        self._every = span_of("Feature", "refresh", refresh)
        self._said = Word(0, default)
        self._shared = shared
        self._reach = Reach(shared, f"feature {name}") if shared else None
        self._look_at = float("-inf")
        self._clock, self._signals = clock or MonotonicClock(), signals
        off = FeatureOffError if breaker is None else (FeatureOffError, CircuitOpenError)
        self._instead = fallback
        self._fallback = None if fallback is ABSENT else Fallback(fallback, on=off, name=name)

    def __repr__(self) -> str:
        return f"Feature({self.name!r})"

    def options(self) -> dict[str, Any]:
        """Return what it was made with, by name."""
        return {
            "name": self.name,
            "default": self.default,
            "breaker": self.breaker,
            "fallback": self._instead,
            "shared": self._shared,
            "refresh": self._every,
            "clock": self._clock,
            "signals": self._signals,
        }

    def adopt(self, other: "Feature") -> None:
        """Take the fallback and `refresh` of `other`; and if its `default` is another one, be
        switched so. All else stays: it belongs to the program."""
        self._instead, self._fallback, self._every = other._instead, other._fallback, other._every
        if other.default != self.default:
            self.default = other.default
            self._hear(self._said._replace(on=other.default, reason=""))

    @property
    def stands_in(self) -> bool:
        """Whether it gives something in place of a call's answer."""
        return self._fallback is not None

    # -- the switch ---------------------------------------------------------------------------

    @property
    def enabled(self) -> bool:
        """Whether it is on, and its breaker lets calls through."""
        return self._said.on and not self._broken(self._clock)

    @property
    def reason(self) -> str:
        """Why it is off, in the words of who switched it; "" if it is on."""
        if not self._said.on:
            return self._said.reason
        return BROKEN if self._broken(self._clock) else ""

    @property
    def state(self) -> str:
        return "on" if self.enabled else "off"

    def on(self) -> None:
        """Switch it on in this process, until somebody says otherwise."""
        self._hear(self._said._replace(on=True, reason=""))

    def off(self, reason: str = "") -> None:
        """Switch it off in this process, until somebody says otherwise."""
        self._hear(self._said._replace(on=False, reason=reason))

    async def on_everywhere(self) -> None:
        """Switch it on in all processes that share its state. Raises as `off_everywhere`."""
        await self._say(on=True, reason="")

    async def off_everywhere(self, reason: str = "") -> None:
        """Switch it off in all processes that share its state: here at once, elsewhere as soon
        as they look. The last word counts, be it said here or to all.

        Raises:
            Exception: What the shared state raised; it is then switched here alone.
        """
        await self._say(on=False, reason=reason)

    async def refresh(self) -> None:
        """Hear what was said in other processes."""
        await self._look(outside(self._clock, self._signals))

    # -- the drivers --------------------------------------------------------------------------

    def __call__(self, fn: Callable[P, R]) -> Callable[P, R]:
        """Guard a function with this feature alone, as a decorator."""
        return Policy(self, name=self.name, signals=self._signals)(fn)

    def around(self, call: AsyncCall, at: Site) -> AsyncCall:
        now, name, clock, looks = at.clock.now, name_of(call), at.clock, self._reach is not None

        async def guarded(*args: Any, **kwargs: Any) -> Any:
            if looks and now() >= self._look_at:
                await self._look(at)
            if not self._said.on or self._broken(clock):
                raise self._refused(name, at)
            return await call(*args, **kwargs)

        guarded.__name__ = name
        return self._fallback.around(guarded, at) if self._fallback else guarded

    def around_sync(self, call: SyncCall, at: Site) -> SyncCall:
        name, clock = name_of(call), at.clock

        def guarded(*args: Any, **kwargs: Any) -> Any:
            if not self._said.on or self._broken(clock):
                raise self._refused(name, at)
            return call(*args, **kwargs)

        guarded.__name__ = name
        return self._fallback.around_sync(guarded, at) if self._fallback else guarded

    def _broken(self, clock: Clock) -> bool:
        return self.breaker is not None and self.breaker.blocked_for(clock=clock) != 0

    def _refused(self, call: str, at: Site) -> FeatureOffError:
        said = self._said
        reason = said.reason if not said.on else BROKEN
        if told := trail.get():
            told.refused(self.kind)
        tell(at.signals, CallRejected, policy=at.policy, call=call, by=self.kind, retry_after=None)
        why = f": {reason}" if reason else ""
        return FeatureOffError(
            f"{self.name} is switched off{why}; {call} was not called",
            policy=at.policy,
            feature=self.name,
            reason=reason,
        )

    # -- what was said ------------------------------------------------------------------------

    async def _say(self, *, on: bool, reason: str) -> None:
        said = self._said._replace(on=on, reason=reason)
        self._hear(said)
        if self._shared is None:
            return

        def change(value: bytes) -> tuple[bytes, Word]:
            last = Word.read(value) or Word()
            word = said._replace(number=last.number + 1)
            return word.to_bytes(), word

        self._hear(await update(self._shared, self._key, change))

    async def _look(self, at: Site) -> None:
        if self._reach is None:
            return
        self._look_at = at.clock.now() + self._every
        value = await self._reach.update(self._key, lambda value: (None, value), at=at)
        word = None if isinstance(value, Unreached) else Word.read(value)
        if word is not None and word.number != self._said.number:
            self._hear(word)

    def _hear(self, word: Word) -> None:
        was, self._said = self._said, word
        if was.on != word.on:
            tell(
                self._signals, FeatureSwitched, policy="", feature=self.name, on=word.on,
                reason=word.reason,
            )  # fmt: skip

    @property
    def _key(self) -> str:
        return f"{self.kind}/{self.name}"


BROKEN = "its circuit is open"
