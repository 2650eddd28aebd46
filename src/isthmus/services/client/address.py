"""Where a client's requests go: below its base URL, and nowhere else."""

import re
from collections.abc import Mapping
from urllib.parse import quote, urlsplit

from isthmus.errors import ConfigError
from isthmus.url import redacted

__all__ = ["REMEMBERED", "Address", "origin_of"]

_SAFE = "/%:@!$&'()*+,;=~-._?"
_NAMED = re.compile(r"\{(\w+)\}")
_CLIMBS = re.compile(r"(?:^|/)(?:\.|%2e){1,2}(?:/|$)", re.IGNORECASE)
REMEMBERED = 1024
"""Paths whose URLs are kept."""


class Address:
    """A base URL, and what is below it."""

    def __init__(self, client: str, base_url: str) -> None:
        """Raises ConfigError if `base_url` is none of http or https, or holds more than a place."""
        self._client, self.base = client, _checked(client, base_url)
        self.origin = origin_of(self.base)
        self._known: dict[str, str] = {}

    def __repr__(self) -> str:
        return f"Address({self.base!r})"

    def url(self, path: str, query: str = "", named: Mapping[str, object] | None = None) -> str:
        """Return the URL of `path` below the base; `named` fills what is in {braces} in it.

        Raises:
            ConfigError: It leads elsewhere, or a name is missing.
        """
        if named is not None:
            path = self._filled(path, named)
        url = self._known.get(path)
        if url is None:
            url = self._joined(path)
            if len(self._known) < REMEMBERED:
                self._known[path] = url
        if not query:
            return url
        return f"{url}&{query}" if "?" in path else f"{url}?{query}"

    def _joined(self, path: str) -> str:
        place = path.partition("?")[0]
        if "://" in place or path.startswith("//") or "\\" in path or "#" in path:
            raise ConfigError(
                f"{self._client}: {path!r} is no path below {self.base}; a client calls one "
                "upstream: write the path, as '/charges', and make another Client for another host"
            )
        if _CLIMBS.search(place):
            raise ConfigError(f"{self._client}: {path!r} climbs out of {self.base} by '..' or '.'")
        if left := _NAMED.search(place):
            raise ConfigError(
                f"{self._client}: {path!r} has {left[0]}: give path_params={{{left[1]!r}: ...}}"
            )
        return f"{self.base}/{quote(path.removeprefix('/'), safe=_SAFE)}"

    def _filled(self, path: str, named: Mapping[str, object]) -> str:
        def fill(found: re.Match[str]) -> str:
            name = found[1]
            if name not in named:
                raise ConfigError(
                    f"{self._client}: {path!r} has {{{name}}}, but path_params= does not"
                )
            text = str(named[name])
            if text in {"", ".", ".."}:
                raise ConfigError(
                    f"{self._client}: {name}={text!r} can't be a part of the path {path!r}"
                )
            return quote(text, safe="")

        return _NAMED.sub(fill, path)


def origin_of(url: str) -> str:
    """Return scheme, host and port of a URL, as "https://pay.example:443"."""
    parts = urlsplit(url)
    port = parts.port or {"http": 80, "https": 443}.get(parts.scheme, 0)
    return f"{parts.scheme}://{parts.hostname or ''}:{port}"


def _checked(client: str, base_url: str) -> str:
    try:
        parts = urlsplit(base_url)
        port = parts.port
    except ValueError as error:
        raise ConfigError(f"client {client!r}: base_url={base_url!r}: {error}") from error
    if parts.scheme not in {"http", "https"} or not parts.hostname or port == 0:
        raise ConfigError(
            f"client {client!r}: base_url={redacted(base_url)!r}: expected as "
            "'https://pay.example' or 'http://localhost:8000/v1'"
        )
    if parts.username is not None or parts.password is not None:
        raise ConfigError(
            f"client {client!r}: base_url={redacted(base_url)!r} holds credentials, which would be "
            "seen wherever the URL is: give auth=Basic(user, password)"
        )
    if parts.query or parts.fragment:
        raise ConfigError(
            f"client {client!r}: base_url={base_url!r} has a query or fragment: say params= with "
            "each call"
        )
    return base_url.rstrip("/")
