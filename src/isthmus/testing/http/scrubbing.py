"""Nothing secret is written into a cassette."""

from collections.abc import Collection, Mapping
from typing import Any, cast
from urllib.parse import parse_qsl, urlencode

import msgspec

from isthmus.testing.http.cassette import Content

__all__ = ["HIDDEN", "Scrubbing"]

HIDDEN = "***"
"""What stands for a secret; where it is asked for, it is like any other value."""

HEADERS = frozenset(
    (
        "authorization", "cookie", "proxy-authorization", "set-cookie", "x-api-key", "api-key",
        "x-auth-token", "www-authenticate",
    )
)  # fmt: skip
PASSING = frozenset(
    (
        "x-request-id", "isthmus-deadline", "traceparent", "tracestate", "date", "user-agent",
        "accept", "accept-encoding", "content-length", "content-encoding", "transfer-encoding",
        "connection", "keep-alive", "server",
    )
)  # fmt: skip
"""Headers that are of one moment, or of one connection: not kept."""


class Scrubbing:
    """Takes out what is secret: the usual headers, and fields by name, wherever they are."""

    def __init__(self, names: Collection[str]) -> None:
        self._names = {name.lower() for name in names}

    def headers(self, headers: Mapping[str, str]) -> dict[str, str]:
        kept = {name.lower(): value for name, value in headers.items()}
        return {
            name: HIDDEN if name in HEADERS or name in self._names else value
            for name, value in kept.items()
            if name not in PASSING
        }

    def query(self, query: Mapping[str, list[str]]) -> dict[str, list[str]]:
        return {
            name: [HIDDEN] * len(values) if name.lower() in self._names else list(values)
            for name, values in query.items()
        }

    def content(self, content: Content | None, kind: str) -> Content | None:
        if content is None:
            return None
        if content.json is not msgspec.UNSET:
            return Content(json=self._value(content.json))
        if content.text is not None and "x-www-form-urlencoded" in kind:
            pairs = parse_qsl(content.text, keep_blank_values=True)
            scrubbed = [(n, HIDDEN if n.lower() in self._names else v) for n, v in pairs]
            return Content(text=urlencode(scrubbed))
        return content

    def _value(self, value: Any) -> Any:
        if isinstance(value, dict):
            fields = cast("dict[str, Any]", value)
            return {
                name: HIDDEN if name.lower() in self._names else self._value(field)
                for name, field in fields.items()
            }
        if isinstance(value, list):
            return [self._value(one) for one in cast("list[Any]", value)]
        return value
