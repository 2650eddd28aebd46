"""The state machine of a circuit breaker: pure, over what it is told and when.

Each outcome is told to the phase in which its call was admitted. A call that outlived its phase
tells a phase that is over, and so says nothing of the present.
"""

from typing import Literal

from isthmus.resilience.options import INFINITE
from isthmus.resilience.rules import Rules
from isthmus.resilience.tally import Tally

__all__ = ["Circuit", "Phase", "State"]

State = Literal["closed", "open", "half-open", "isolated"]


class Phase:
    """A stretch of time in one state, and the calls admitted in it."""

    __slots__ = (
        "in_flight", "plain", "run", "slow", "span", "state", "tally", "until", "went_well",
    )  # fmt: skip

    def __init__(
        self, state: State, rules: Rules, *, until: float = 0.0, span: float = INFINITE
    ) -> None:
        self.state: State = state
        self.plain = state == "closed" and rules.slow is None and not rules.judged
        """Whether a call passes unasked, and a result is only counted."""
        self.until = until
        """When an open circuit lets a probe through."""
        self.span = span
        """How long it is open at the most, whatever the clock does."""
        self.in_flight = 0
        """Probes that run, of a half-open circuit."""
        self.went_well = 0
        """Probes that did."""
        self.run = 0
        """Failures since the last success, of a closed circuit."""
        self.tally = rules.tally()
        self.slow = rules.tally()


class Circuit:
    """Closed, it counts failures; open, it lets nothing through; half-open, a few probes."""

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self.phase = Phase("closed", rules)
        self._opened = 0  # times in a row, without having closed between

    @property
    def state(self) -> State:
        return self.phase.state

    def admit(self, now: float) -> Phase | None:
        """Return the phase to tell the outcome of a call begun now; None if it may not begin."""
        phase = self.phase
        if phase.state == "open" and now >= self._until(now):
            phase = self._become("half-open")
        if phase.state == "closed":
            return phase
        if phase.state == "half-open" and phase.in_flight < self.rules.probes:
            phase.in_flight += 1
            return phase
        return Phase("isolated", self.rules) if self.rules.metrics_only else None

    def blocked_for(self, now: float) -> float | None:
        """Return the seconds until a call may pass, 0 if one may; None if that can't be told."""
        if self.rules.metrics_only:
            return 0.0
        match self.phase.state:
            case "open":
                return max(0.0, self._until(now) - now)
            case "half-open" if self.phase.in_flight >= self.rules.probes:
                return None
            case "isolated":
                return None
            case _:
                return 0.0

    def succeeded(self, phase: Phase, now: float, took: float = 0.0) -> None:
        """A call admitted in `phase` came back well, after `took` seconds."""
        slow = self.rules.slow is not None and took >= self.rules.slow
        if phase.state == "closed":
            phase.tally.good(now)
            phase.run = 0
            self._timed(phase, now, slow=slow)
        elif phase.state == "half-open":
            phase.in_flight -= 1
            self._probed(phase, now, well=not slow)

    def failed(self, phase: Phase, now: float, took: float = 0.0) -> None:
        """A call admitted in `phase` failed in a way that counts."""
        if phase.state == "closed":
            phase.tally.bad(now)
            phase.run += 1
            self._timed(phase, now, slow=self.rules.slow is not None and took >= self.rules.slow)
            if self._too_many(phase, now):
                self._open(phase, now)
        elif phase.state == "half-open":
            self._open(phase, now)

    def released(self, phase: Phase) -> None:
        """A call admitted in `phase` ended without saying anything: cancelled, or not made."""
        if phase.state == "half-open":
            phase.in_flight -= 1

    def open_until(self, until: float) -> None:
        """Open, as others found out; isolated, if that is for ever."""
        if until == INFINITE:
            self.isolate()
        else:
            self._become("open", until=until)

    def isolate(self) -> None:
        """Let nothing through until `reset`."""
        self._become("isolated")

    def reset(self) -> None:
        """Close, and forget."""
        self._opened = 0
        self._become("closed")

    def adopt(self, rules: Rules) -> None:
        """Go by other rules from now on; a closed circuit begins its window anew if they count
        otherwise."""
        was, self.rules = self.rules, rules
        counted = (was.window, was.calls, was.slow, was.judged)
        if self.state == "closed" and counted != (
            rules.window, rules.calls, rules.slow, rules.judged,
        ):  # fmt: skip
            self._become("closed")

    def _timed(self, phase: Phase, now: float, *, slow: bool) -> None:
        if self.rules.slow is None:
            return
        (phase.slow.bad if slow else phase.slow.good)(now)
        if slow and self._over(phase.slow, self.rules.slow_rate, now):
            self._open(phase, now)

    def _too_many(self, phase: Phase, now: float) -> bool:
        rules = self.rules
        if rules.consecutive is not None and phase.run >= rules.consecutive:
            return True
        return rules.failure_rate is not None and self._over(phase.tally, rules.failure_rate, now)

    def _over(self, tally: Tally, rate: float, now: float) -> bool:
        bad, total = tally.counts(now)
        return total >= self.rules.minimum and bad >= rate * total

    def _probed(self, phase: Phase, now: float, *, well: bool) -> None:
        if not well:
            return self._open(phase, now)
        phase.went_well += 1
        if phase.went_well >= self.rules.successes and phase is self.phase:
            self.reset()

    def _open(self, phase: Phase, now: float) -> None:
        if phase is not self.phase:
            return
        self._opened += 1
        span = self._span()
        self._become("open", until=now + span, span=span)

    def _until(self, now: float) -> float:
        """Return until when it is open; not for longer, because the clock was set back."""
        phase = self.phase
        phase.until = min(phase.until, now + phase.span)
        return phase.until

    def _span(self) -> float:
        """Return how long it is open for this time."""
        rules = self.rules
        try:
            return min(rules.open_for * rules.growth ** (self._opened - 1), rules.open_cap)
        except OverflowError:
            return rules.open_cap

    def _become(self, state: State, *, until: float = 0.0, span: float = INFINITE) -> Phase:
        self.phase = Phase(state, self.rules, until=until, span=span)
        return self.phase
