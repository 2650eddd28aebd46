"""One circuit for many processes: what one of them found out, the others need not suffer."""

import math

from isthmus.clock import MonotonicClock, Span, SystemClock, seconds
from isthmus.resilience.circuit import Circuit, State
from isthmus.resilience.shared import Reach, SharedState, Unreached, numbers_in, numbers_to_bytes
from isthmus.resilience.strategy import Site

__all__ = ["CircuitSharing"]

DAY = 86400.0
CLOSED = 0.0
_UNIX = SystemClock()


class CircuitSharing:
    """Tells others when a circuit opened or closed, and learns it from them.

    What is shared is one number: until when, in Unix seconds, the circuit is open. Each process
    counts for itself and sends probes of its own. It looks at most once in `every` seconds, on
    the way of a call; while the state is out of reach, each goes by what it finds out alone.
    """

    def __init__(self, state: SharedState, name: str, *, every: Span) -> None:
        self._reach = Reach(state, f"circuit breaker {name}")
        self._key, self._every = f"circuit breaker/{name}", seconds(every)
        self._look_at = -math.inf
        self._known: State = "closed"
        """The state that is the same here and there."""

    async def learn(self, circuit: Circuit, at: Site) -> None:
        """Bring the circuit to what others found out, unless that is known since a moment."""
        now = at.clock.now()
        if now < self._look_at:
            return
        self._look_at = now + self._every
        found = await self._reach.update(self._key, lambda value: (None, numbers_in(value)), at=at)
        if isinstance(found, Unreached) or circuit.state != self._known:
            return
        left = found[0] - _unix(at) if found else -math.inf
        if left > 0 and circuit.state == "closed":
            circuit.open_until(at.clock.now() + left)
        elif found == (CLOSED,) and circuit.state in {"open", "isolated"}:
            circuit.reset()
        self._known = circuit.state

    async def tell(self, circuit: Circuit, at: Site) -> None:
        """Tell others, if it has changed here."""
        state = circuit.state
        if state in {self._known, "half-open"}:
            return
        until = _until(circuit, at)
        value = numbers_to_bytes((until,))
        ttl = DAY if until in {CLOSED, math.inf} else max(DAY, until - _unix(at))
        told = await self._reach.update(self._key, lambda _: (value, True), at=at, ttl=ttl)
        if not isinstance(told, Unreached):
            self._known = state


def _until(circuit: Circuit, at: Site) -> float:
    match circuit.state:
        case "open":
            return _unix(at) + circuit.phase.until - at.clock.now()
        case "isolated":
            return math.inf
        case _:
            return CLOSED


def _unix(at: Site) -> float:
    return (_UNIX if isinstance(at.clock, MonotonicClock) else at.clock).now()
