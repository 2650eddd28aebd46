"""One schedule: when it is due, and what it does about the moments that were missed."""

import logging
from collections.abc import Sequence
from typing import Literal, get_args

import msgspec

from isthmus.errors import ConfigError
from isthmus.handling.schedules.timetable import Standing
from isthmus.handling.schedules.timing import LEAST, Timing

__all__ = ["CatchUp", "Schedule", "Tick"]

_log = logging.getLogger("isthmus.schedules")

CatchUp = Literal["latest", "all", "none"]
"""Of the moments that were missed: one run for the latest, one each, or none, unless it
was missed by less than an interval (by less than a minute, if by cron)."""

APART = 60.0
"""Seconds by which the clocks of processes may differ: one that is behind the process that
moved a schedule must not take it for one that waits for too long."""

MOST = 1000
"""Missed moments that are run at most, with catch_up="all"; the newest."""


class Tick(msgspec.Struct, frozen=True, kw_only=True):
    """One run of a schedule; handlers may take it."""

    name: str
    """Of the schedule."""
    due_at: float
    """When it was to run: Unix seconds. It runs at that moment or later, never before."""


class Schedule:
    """Decides, from where it stands and what time it is; pure."""

    def __init__(self, name: str, timing: Timing, *, catch_up: CatchUp) -> None:
        if catch_up not in get_args(CatchUp):
            raise ConfigError(
                f"schedule {name!r}: catch_up={catch_up!r} is not latest, all or none"
            )
        self.name, self.timing = name, timing
        self.catch_up: CatchUp = catch_up

    def is_due(self, standing: Standing, now: float) -> bool:
        """Return whether `standing` has to be moved."""
        if standing.definition != self.timing.definition:
            return True
        return not standing.paused and (standing.due_at <= now or self._is_ahead(standing, now))

    def moved(self, standing: Standing, now: float) -> tuple[Standing, Sequence[Tick]]:
        """Return where it stands next, and the ticks that are to be sent for that."""
        if standing.definition != self.timing.definition or not standing.due_at:
            return self._begun(standing, now), ()
        if self._is_ahead(standing, now):
            again = self.timing.after(now, anchor=standing.due_at)
            return msgspec.structs.replace(standing, due_at=again), ()
        ticks = [Tick(name=self.name, due_at=due) for due in self._to_run(standing.due_at, now)]
        after = self.timing.after(now, anchor=standing.due_at)
        last = ticks[-1].due_at if ticks else standing.last_at
        return msgspec.structs.replace(standing, due_at=after, last_at=last), ticks

    def _begun(self, standing: Standing, now: float) -> Standing:
        return msgspec.structs.replace(
            standing, definition=self.timing.definition, due_at=self.timing.first(now)
        )

    def _is_ahead(self, standing: Standing, now: float) -> bool:
        """Return whether it waits for longer than it ever should: a clock went back."""
        return standing.due_at > self.timing.after(now, anchor=standing.due_at) + APART

    def _to_run(self, due: float, now: float) -> Sequence[float]:
        latest = max(due, self.timing.until(now, anchor=due))
        if self.catch_up == "all":
            return self._all_since(due, latest)
        if self.catch_up == "none" and now - latest >= self.timing.grace:
            return ()
        return (latest,)

    def _all_since(self, due: float, latest: float) -> Sequence[float]:
        missed = [latest]
        while missed[-1] - due > LEAST / 2 and len(missed) < MOST:
            missed.append(max(due, self.timing.before(missed[-1])))
        if missed[-1] - due > LEAST / 2:
            _log.warning(
                "schedule %r missed more than %d runs; the newest %d are run", self.name, MOST, MOST
            )
        return missed[::-1]
