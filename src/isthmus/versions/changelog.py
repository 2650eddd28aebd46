"""What the users of an API read: its versions, newest first, and what each changed."""

from collections.abc import Iterator, Sequence

import msgspec

from isthmus.versions.change import Change
from isthmus.versions.deprecation import Deprecation, day_of

__all__ = ["Entry", "Release", "markdown", "release"]


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One change, told."""

    name: str
    of: str
    """The type, or the operation."""
    told: str


class Release(msgspec.Struct, frozen=True, kw_only=True):
    """One version, told."""

    version: str
    changes: Sequence[Entry]
    deprecated: bool = False
    deprecated_since: str = ""
    """A day, or a moment; "" if it is not deprecated, or nobody said since when."""
    gone_from: str = ""
    link: str = ""


def release(version: str, changes: Sequence[Change], ends: Deprecation | None) -> Release:
    entries = [Entry(name=each.name, of=each.of, told=each.told) for each in changes]
    if ends is None:
        return Release(version=version, changes=entries)
    return Release(
        version=version,
        changes=entries,
        deprecated=True,
        deprecated_since=day_of(ends.since) if ends.since else "",
        gone_from="" if ends.sunset is None else day_of(ends.sunset),
        link=ends.link,
    )


def markdown(releases: Sequence[Release]) -> str:
    """Return them as a page."""
    return "\n\n".join("\n".join(_section(each)) for each in releases) + "\n"


def _section(told: Release) -> Iterator[str]:
    yield f"## {told.version}"
    if told.deprecated:
        since = f" since {told.deprecated_since}" if told.deprecated_since else ""
        gone = f", gone from {told.gone_from}" if told.gone_from else ""
        more = f"; see {told.link}" if told.link else ""
        yield from ("", f"Deprecated{since}{gone}{more}.")
    for entry in told.changes:
        first, *rest = entry.told.splitlines() or [entry.name]
        yield from ("", f"- **{entry.of}**: {first}")
        yield from (f"  {line}".rstrip() for line in rest)
