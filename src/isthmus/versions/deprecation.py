"""What ends, and when.

Source: RFC 9745 (the Deprecation header), RFC 8594 (the Sunset header).
"""

import re
from datetime import UTC, date, datetime
from email.utils import formatdate

import msgspec

from isthmus.errors import ConfigError

__all__ = ["Deprecation", "Moment", "day_of", "deprecation"]

Moment = str | date | datetime
"""A day ("2027-06-01", its first second in UTC) or a moment with a time zone."""

_URL = re.compile(r"(https?://|/)[^\s<>\"]+")


class Deprecation(msgspec.Struct, frozen=True, kw_only=True):
    """One version's end."""

    version: str
    since: float
    """Unix seconds from which it is deprecated; 0 if nobody said, and it is already."""
    sunset: float | None
    """From which it is gone; None if that is not decided."""
    link: str
    """What tells its users more; "" if nothing does."""

    def is_gone(self, now: float) -> bool:
        return self.sunset is not None and now >= self.sunset

    @property
    def sunset_date(self) -> str:
        """The sunset as an HTTP date; "" if there is none."""
        return "" if self.sunset is None else formatdate(self.sunset, usegmt=True)

    def __str__(self) -> str:
        ends = "" if self.sunset is None else f", gone from {day_of(self.sunset)}"
        since = f" since {day_of(self.since)}" if self.since else ""
        return f"{self.version} is deprecated{since}{ends}"


def deprecation(
    version: str, *, since: Moment | None, sunset: Moment | None, link: str
) -> Deprecation:
    """Return it as it was written by users.

    Raises:
        ConfigError: A moment is none, the link is no URL, or it ends before it is deprecated.
    """
    begins = 0.0 if since is None else _moment("since", since)
    ends = None if sunset is None else _moment("sunset", sunset)
    if ends is not None and ends < begins:
        raise ConfigError(
            f"deprecate({version!r}): sunset {day_of(ends)} is before since {day_of(begins)}"
        )
    if link and not _URL.fullmatch(link):
        raise ConfigError(f"deprecate({version!r}): link {link!r}: expected a URL")
    return Deprecation(version=version, since=begins, sunset=ends, link=link)


def day_of(moment: float) -> str:
    """Return the day of a moment in UTC, "2027-06-01"; with the time, unless it is midnight."""
    at = datetime.fromtimestamp(moment, UTC)
    return at.strftime("%Y-%m-%d" if moment % 86400 == 0 else "%Y-%m-%dT%H:%M:%SZ")


def _moment(word: str, said: Moment) -> float:
    if isinstance(said, str):
        try:
            said = datetime.fromisoformat(said)
        except ValueError as error:
            raise ConfigError(f'{word}={said!r}: expected a day, as "2027-06-01"') from error
        if said.tzinfo is None and (said.hour or said.minute or said.second):
            raise ConfigError(f"{word}={said.isoformat()} has no time zone; write a Z after it")
        said = said if said.tzinfo else said.replace(tzinfo=UTC)
    if not isinstance(said, datetime):
        said = datetime(said.year, said.month, said.day, tzinfo=UTC)
    if said.tzinfo is None:
        raise ConfigError(f"{word}={said.isoformat()} has no time zone; use datetime(..., UTC)")
    return said.timestamp()
