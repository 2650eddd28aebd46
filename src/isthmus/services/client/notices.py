"""An upstream announces the end of what is asked of it: told once a day, not with each answer."""

import re
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

from isthmus.services.client.facts import UpstreamDeprecated, log
from isthmus.signals import Signals

__all__ = ["Notices"]

DAY = 86_400.0
MOST = 1000
"""Operations that are told apart; of more, nothing is told."""
_LINK = re.compile(r'<([^>]*)>[^,]*;\s*rel="?(?:deprecation|sunset)"?', re.IGNORECASE)


class Notices:
    """What one client was told."""

    def __init__(self, client: str) -> None:
        self._client = client
        self._told: dict[str, float] = {}

    def look(self, operation: str, headers: Mapping[str, str], signals: Signals) -> None:
        """Tell of the announcement in an answer's headers, if that is news."""
        now = time.monotonic()
        told = self._told.get(operation)
        if told is not None and now - told < DAY:
            return
        if told is None and len(self._told) >= MOST:
            return
        self._told[operation] = now
        link = _LINK.search(", ".join(_all(headers, "link")))
        fact = UpstreamDeprecated(
            client=self._client,
            operation=operation,
            deprecated_at=_date(headers.get("deprecation", "")),
            sunset_at=_date(headers.get("sunset", "")),
            link=link[1] if link else "",
        )
        log.warning("%s", _line(fact))
        signals.emit(fact)


def _line(fact: UpstreamDeprecated) -> str:
    said = f"{fact.client}: {fact.operation} is deprecated by the other side"
    if fact.deprecated_at is not None:
        said += f", as of {_day(fact.deprecated_at)}"
    if fact.sunset_at is not None:
        said += f"; it may be gone from {_day(fact.sunset_at)} on"
    return f"{said}: {fact.link}" if fact.link else said


def _day(moment: float) -> str:
    return time.strftime("%Y-%m-%d", time.gmtime(moment))


def _date(text: str) -> float | None:
    """Return the moment in a header: a structured Date, as @1688169599, or an HTTP date."""
    text = text.strip()
    if text.startswith("@") and text[1:].isdecimal() and len(text) < 13:
        return float(text[1:])
    try:
        return parsedate_to_datetime(text).timestamp()
    except (TypeError, ValueError, OverflowError):
        return None


def _all(headers: Mapping[str, str], name: str) -> list[str]:
    every = getattr(headers, "getall", None)
    if every is not None:
        return list(every(name, []))
    return [headers[name]] if name in headers else []
