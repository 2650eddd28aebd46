"""Moments, spans and payloads as people read them."""

from datetime import datetime

__all__ = ["excerpt", "moment", "span"]

_UNITS = ((86400.0, "d"), (3600.0, "h"), (60.0, "min"), (1.0, "s"))


def span(seconds: float) -> str:
    """Return a span in its largest fitting unit: "3 s", "12 min", "5 d"."""
    for size, unit in _UNITS:
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(0.0, seconds) * 1000:.0f} ms"


def moment(at: float) -> str:
    """Return a moment in local time, to the second; "-" for 0."""
    return f"{datetime.fromtimestamp(at).astimezone():%Y-%m-%d %H:%M:%S}" if at else "-"


def excerpt(body: bytes, *, most: int = 60) -> str:
    """Return the begin of a body on one line."""
    text = " ".join(body.decode(errors="replace").split())
    return text if len(text) <= most else f"{text[: most - 3]}..."
