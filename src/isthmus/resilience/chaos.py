"""Faults on purpose, in tests and on game days; off unless switched on."""

import logging
import os
from types import TracebackType
from typing import Any, ClassVar, Self

from isthmus.clock import Span
from isthmus.errors import ConfigError
from isthmus.resilience.facts import PolicySignal, signals, tell
from isthmus.resilience.options import refuse_unless, span_of
from isthmus.resilience.strategy import AsyncCall, Site, SyncCall, name_of

__all__ = ["VARIABLE", "Chaos", "ChaosStruck", "ChaosSwitched"]

VARIABLE = "ISTHMUS_CHAOS"
"""Environment variable; "1" switches on every Chaos that is made."""

ABSENT: Any = object()


class ChaosSwitched(PolicySignal, frozen=True, kw_only=True):
    """From now on calls fail on purpose, or no longer."""

    level: ClassVar[int] = logging.WARNING

    chaos: str
    """What is done to calls."""
    on: bool


class ChaosStruck(PolicySignal, frozen=True, kw_only=True):
    """Something was done to a call on purpose."""

    call: str
    chaos: str


class Chaos:
    """Makes a share of the calls slow, fail, or answer wrongly, without their being made.

        chaos = Chaos(error=ConnectionError, rate=0.2)
        pay = Policy(Retry(3), CircuitBreaker(), chaos)

        with chaos:                       # or chaos.on(), or ISTHMUS_CHAOS=1
            ...

    Innermost, it plays the dependency. Which calls are struck is drawn by the policy's `draw`,
    so that a seed repeats it.

    Source: Simmy, the chaos strategies of Polly 8.
    """

    kind = "chaos"

    def __init__(
        self,
        *,
        latency: Span = 0.0,
        error: Exception | type[Exception] | None = None,
        result: Any = ABSENT,
        rate: float = 1.0,
        name: str = "",
    ) -> None:
        """
        Args:
            latency: Seconds that a call is held up, before anything else. 0 up; default 0.
            error: What is raised in place of the call. Default: none, and the call is made.
            result: What is returned in place of the call. Default: none, and the call is made.
            rate: Share of the calls that are struck. 0 to 1; default 1.
            name: For signals and logs. Default: what it does.

        Raises:
            ConfigError: One of them is out of its range; or nothing, or two things, are done.
        """
        refuse_unless(0 <= rate <= 1, "Chaos", "rate", rate, "0 to 1")
        self.latency, self.rate = span_of("Chaos", "latency", latency), float(rate)
        kind = error if isinstance(error, type) else type(error)
        ok = error is None or issubclass(kind, Exception)
        refuse_unless(ok, "Chaos", "error", error, "an error, or a type of errors")
        self.error, self.result = error, result
        if error is not None and result is not ABSENT:
            raise ConfigError("Chaos(error=..., result=...): a call ends one way; expected one")
        if error is None and result is ABSENT and not self.latency:
            raise ConfigError("Chaos(): expected what to do: latency=, error= or result=")
        self._named, self.name = name, name or self._does()
        self._on = os.environ.get(VARIABLE) == "1"

    def __repr__(self) -> str:
        return f"Chaos({self._does()}, rate={self.rate:g})"

    @property
    def state(self) -> str:
        return "on" if self._on else "off"

    def options(self) -> dict[str, Any]:
        """Return what it was made with, by name."""
        return {
            "latency": self.latency,
            "error": self.error,
            "result": self.result,
            "rate": self.rate,
            "name": self._named,
        }

    def adopt(self, other: "Chaos") -> None:
        """Do what `other` does, and stay on, or off."""
        self.latency, self.error, self.result = other.latency, other.error, other.result
        self.rate, self.name, self._named = other.rate, other.name, other._named

    @property
    def stands_in(self) -> bool:
        """Whether it gives something in place of a call's answer."""
        return self.result is not ABSENT

    def on(self) -> None:
        """Strike calls from now on, in this process."""
        self._switch(on=True)

    def off(self) -> None:
        """Strike no more calls; one that is held up goes on to its end."""
        self._switch(on=False)

    def __enter__(self) -> Self:
        self.on()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.off()

    def around(self, call: AsyncCall, at: Site) -> AsyncCall:
        name, sleep = name_of(call), at.clock.sleep
        self._tell_if_on(at)

        async def guarded(*args: Any, **kwargs: Any) -> Any:
            if not self._on or not self._strikes(name, at):
                return await call(*args, **kwargs)
            if self.latency:
                await sleep(self.latency)
            if self.error is None and self.result is ABSENT:
                return await call(*args, **kwargs)
            return self._end()

        return guarded

    def around_sync(self, call: SyncCall, at: Site) -> SyncCall:
        name, pause = name_of(call), at.pause
        self._tell_if_on(at)

        def guarded(*args: Any, **kwargs: Any) -> Any:
            if not self._on or not self._strikes(name, at):
                return call(*args, **kwargs)
            if self.latency:
                pause(self.latency)
            if self.error is None and self.result is ABSENT:
                return call(*args, **kwargs)
            return self._end()

        return guarded

    def _strikes(self, call: str, at: Site) -> bool:
        if at.draw() >= self.rate and self.rate < 1:
            return False
        tell(at.signals, ChaosStruck, policy=at.policy, call=call, chaos=self.name)
        return True

    def _end(self) -> Any:
        if isinstance(self.error, type):
            raise self.error(f"{self.name}, on purpose")
        if self.error is not None:
            raise self.error.with_traceback(None)
        return self.result

    def _switch(self, *, on: bool) -> None:
        if on != self._on:
            self._on = on
            tell(signals, ChaosSwitched, policy="", chaos=self.name, on=on)

    def _tell_if_on(self, at: Site) -> None:
        """Say it where the environment switched it on, which nobody may remember."""
        if self._on:
            tell(at.signals, ChaosSwitched, policy=at.policy, chaos=self.name, on=True)

    def _does(self) -> str:
        does = [f"latency={self.latency:g}"] * bool(self.latency)
        if self.error is not None:
            kind = self.error if isinstance(self.error, type) else type(self.error)
            does.append(f"error={kind.__name__}")
        does += ["result=..."] * (self.result is not ABSENT)
        return ", ".join(does)
