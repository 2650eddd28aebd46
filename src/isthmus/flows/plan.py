"""What is expected of a flow: which event begins it, which follow, and by when."""

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any

import msgspec

from isthmus.errors import ConfigError
from isthmus.flows.compensation import Compensation

__all__ = ["Expected", "Plan"]


class Expected(msgspec.Struct, frozen=True, kw_only=True):
    """One of `events` is to come within so many seconds after one of `after`."""

    events: tuple[str, ...]
    after: tuple[str, ...]
    """Empty: after what begins the flow."""
    within: float
    otherwise: tuple[Compensation[Any], ...] = ()
    ends: bool = False
    """Whether it is the end of the flow."""

    @property
    def name(self) -> str:
        return " or ".join(self.events)


class Plan:
    """One flow as it is declared."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.begins: list[str] = []
        self.fails: list[str] = []
        self.expected: dict[str, Expected] = {}

    def expect(self, expected: Expected) -> None:
        """Raises ConfigError if one of its events is expected already."""
        for event in expected.events:
            if event in self._all:
                raise ConfigError(
                    f"flow {self.name!r}: {event!r} has its place in it already; an event begins "
                    "a flow, is expected, ends it or fails it, once"
                )
        self.expected[expected.name] = expected

    def require(self) -> None:
        """Raises ConfigError, if it cannot be followed."""
        if not self.begins:
            raise ConfigError(f"flow {self.name!r} never begins; write flow.begins(placed)")
        if not self.forward:
            raise ConfigError(
                f"flow {self.name!r} expects nothing after its beginning; write flow.ends(shipped)"
            )
        for expected in self.expected.values():
            for event in expected.after:
                self._require_known(expected, event)

    def _require_known(self, expected: Expected, event: str) -> None:
        if event not in self._all and event not in self.compensations:
            known = ", ".join(sorted({*self._all, *self.compensations}))
            raise ConfigError(
                f"flow {self.name!r}: {expected.name!r} is expected after {event!r}, which has no "
                f"place in it; it has {known}"
            )

    # --- what is where ----------------------------------------------------------------------

    def follows(self, event: str) -> tuple[str, ...]:
        """Return the events that `event` is declared to follow."""
        for expected in self.expected.values():
            if event in expected.events:
                return expected.after or tuple(self.begins)
        return tuple(self.begins) if event in self.fails else ()

    @property
    def ends(self) -> Sequence[str]:
        return [event for each in self.expected.values() if each.ends for event in each.events]

    @property
    def has_compensations(self) -> bool:
        return any(each.otherwise for each in self.expected.values())

    @property
    def compensations(self) -> set[str]:
        """The events that the flow publishes itself."""
        return {by.event for each in self.expected.values() for by in each.otherwise}

    @property
    def longest(self) -> float:
        """Seconds after which any flow has ended, if nothing is behind."""
        return sum(each.within for each in self.expected.values())

    @cached_property
    def backward(self) -> Mapping[str, Expected]:
        """What is expected after a failure: it follows from one, or from a compensation."""
        causes = {*self.fails, *self.compensations}
        found: dict[str, Expected] = {}
        while new := [
            each
            for each in self.expected.values()
            if each.name not in found and causes.intersection(each.after)
        ]:
            found |= {each.name: each for each in new}
            causes.update(event for each in new for event in each.events)
        return found

    @cached_property
    def forward(self) -> Mapping[str, Expected]:
        """What is expected as long as all goes well."""
        return {name: e for name, e in self.expected.items() if name not in self.backward}

    @property
    def _all(self) -> Iterable[str]:
        expected = [event for each in self.expected.values() for event in each.events]
        return {*self.begins, *self.fails, *expected}
