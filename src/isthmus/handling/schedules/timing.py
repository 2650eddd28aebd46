"""When something is due: every so many seconds, or as the crontab says."""

import math
from datetime import UTC, datetime, tzinfo
from typing import Protocol
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from isthmus.errors import ConfigError

__all__ = ["Cron", "Every", "Timing"]

LEAST = 0.1
"""Seconds between two moments, at least."""

MINUTE = 60.0


class Timing(Protocol):
    """A sequence of moments, of which `anchor` is one."""

    @property
    def definition(self) -> str:
        """What it is, in words; another definition is another timing."""
        ...

    @property
    def grace(self) -> float:
        """Seconds for which a moment that passed still counts as now."""
        ...

    def first(self, now: float) -> float:
        """Return the first moment of a timing that begins now."""
        ...

    def after(self, moment: float, *, anchor: float) -> float:
        """Return the first one later than `moment`."""
        ...

    def until(self, moment: float, *, anchor: float) -> float:
        """Return the last one that is not later than `moment`."""
        ...

    def before(self, due: float) -> float:
        """Return the one before `due`, which is one."""
        ...


class Every:
    """So many seconds from one moment to the next, whatever the calendar says.

    Moments are whole milliseconds, so that one is the same number however it is reckoned.
    """

    def __init__(self, span: float) -> None:
        """`span`: seconds, at least 0.1; to the millisecond."""
        if not LEAST <= span < math.inf:
            raise ConfigError(f"every={span:g}: expected at least {LEAST:g} seconds")
        self._span = self.grace = round(span, 3)
        self.definition = f"every {span:g} s"

    def first(self, now: float) -> float:
        return round(now + self._span, 3)

    def after(self, moment: float, *, anchor: float) -> float:
        return round(self.until(moment, anchor=anchor) + self._span, 3)

    def until(self, moment: float, *, anchor: float) -> float:
        count = math.floor((moment - anchor) / self._span)
        return round(anchor + count * self._span, 3)

    def before(self, due: float) -> float:
        return round(due - self._span, 3)


class Cron:
    """Five fields - minute, hour, day, month, weekday - in a time zone; six begin with seconds.

    Jobs at a fixed hour run once on the days the clocks change; those by the minute or hour
    (`*`, `*/5`) follow elapsed time.

    Source: Debian's cron(8), as the package cronsim follows it.
    """

    grace = MINUTE

    def __init__(self, expression: str, *, timezone: str = "UTC") -> None:
        """Raises ConfigError if the expression cannot be read, never falls due, or the time
        zone is unknown."""
        self._expression, self._zone = expression, _zone(timezone)
        self.definition = f"cron {expression} in {timezone}"
        try:
            self.first(0.0)
        except CronSimError as error:
            raise ConfigError(
                f'cron="{expression}": {error}; expected minute hour day month weekday, '
                'as "0 3 * * *" for three in the morning'
            ) from error
        except StopIteration as error:
            raise ConfigError(f'cron="{expression}" never falls due') from error

    def first(self, now: float) -> float:
        return self.after(now, anchor=now)

    def after(self, moment: float, *, anchor: float) -> float:  # noqa: ARG002 - the calendar's
        return next(self._from(moment)).timestamp()

    def until(self, moment: float, *, anchor: float) -> float:  # noqa: ARG002
        return next(self._from(math.floor(moment) + 1, reverse=True)).timestamp()

    def before(self, due: float) -> float:
        return next(self._from(due, reverse=True)).timestamp()

    def _from(self, moment: float, *, reverse: bool = False) -> CronSim:
        return CronSim(self._expression, datetime.fromtimestamp(moment, self._zone), reverse)


def _zone(name: str) -> tzinfo:
    if name.upper() == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise ConfigError(
            f"timezone={name!r} is unknown; write it as Europe/Berlin "
            "(a machine without time zones needs: pip install tzdata)"
        ) from error
