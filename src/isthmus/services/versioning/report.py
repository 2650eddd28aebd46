"""What every answer says of versions, in headers.

Source: RFC 9745 (Deprecation), RFC 8594 (Sunset), RFC 5829 (successor-version);
api-supported-versions and its like are those of ASP.NET API Versioning.
"""

from collections.abc import Sequence
from math import inf
from urllib.parse import quote

from isthmus.services.versioning.asked import Headers
from isthmus.versions import Deprecation, Versions

__all__ = ["Report"]

_OF_ALL = frozenset({b"api-supported-versions", b"api-deprecated-versions", b"vary"})


class Report:
    """The headers of answers by version; made anew when a version's sunset has come."""

    def __init__(self, versions: Versions, vary: Sequence[str]) -> None:
        self._versions = versions
        self._vary = [(b"vary", ", ".join(vary).encode())] if vary else []
        self._made: dict[str, Headers] = {}
        self._until = 0.0
        self._deprecated: Sequence[str] = ()
        self.supported: Sequence[str] = ()
        """The versions that may be asked for."""

    def headers(self, version: str, now: float) -> Headers:
        """Return what an answer in `version` says."""
        if now >= self._until:
            self._renew(now)
        if (made := self._made.get(version)) is None:
            made = self._made[version] = self._all(version)
        return made

    def successor(self, version: str, root: str | None, path: str) -> Headers:
        """Return the link to the same resource in the version that follows on `version`, if
        it has a URL of its own."""
        next_ = self._versions.successor(version)
        if root is None or next_ is None:
            return ()
        home = root.rpartition("/")[0]
        url = quote(f"{home}/{next_}{path.removeprefix(root)}", safe="/:@!$&'()*+,;=~-._")
        return [(b"link", f'<{url}>; rel="successor-version"'.encode("latin-1"))]

    def unasked(self, now: float) -> Headers:
        """Return what the answer says to who asked for no version that there is."""
        return [pair for pair in self.headers(self._versions.names.head, now) if pair[0] in _OF_ALL]

    def _renew(self, now: float) -> None:
        ends = self._versions.deprecations
        moments = [each.since for each in ends.values()]
        moments += [each.sunset or inf for each in ends.values()]
        self._until = min((moment for moment in moments if moment > now), default=inf)
        self.supported, self._made = self._versions.supported(now), {}
        self._deprecated = [n for n in self.supported if n in ends and ends[n].since <= now]

    def _all(self, version: str) -> Headers:
        ends = self._versions.deprecations
        said = [(b"api-version", version.encode())]
        said.append((b"api-supported-versions", ", ".join(self.supported).encode()))
        if self._deprecated:
            said.append((b"api-deprecated-versions", ", ".join(self._deprecated).encode()))
        if version in ends:
            said += _end(ends[version])
        return [*said, *self._vary]


def _end(ends: Deprecation) -> Headers:
    said = [(b"deprecation", f"@{ends.since:.0f}".encode())]
    if ends.sunset is not None:
        said.append((b"sunset", ends.sunset_date.encode()))
    if ends.link:
        said.append((b"link", f'<{ends.link}>; rel="deprecation"'.encode()))
        if ends.sunset is not None:
            said.append((b"link", f'<{ends.link}>; rel="sunset"'.encode()))
    return said
