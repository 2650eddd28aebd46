"""URLs that were looked at before they are used."""

import re
from typing import ClassVar, Self
from urllib.parse import urlsplit

from isthmus.errors import ConfigError
from isthmus.url import redacted

__all__ = ["HttpUrl", "Url"]

_BLANK = re.compile(r"[\s\x00-\x1f\x7f]")


class Url(str):
    """A URL: text of a scheme and a place, checked when it is made.

    It is a `str`, to be given to whatever takes one. Its repr, and that of what holds it, shows
    no password; `str(url)` does.
    """

    __slots__ = ()

    schemes: ClassVar[frozenset[str]] = frozenset()
    """Those that are allowed; empty: any."""

    def __new__(cls, text: str) -> Self:
        """Raises ConfigError if it is none."""
        if fault := cls._fault(text):
            raise ConfigError(f"{redacted(text)!r} is no URL: {fault}")
        return super().__new__(cls, text)

    def __repr__(self) -> str:
        return repr(redacted(self))

    @classmethod
    def _fault(cls, text: str) -> str:
        if _BLANK.search(text):
            return "it has blanks in it"
        scheme, colon, _ = text.partition("://")
        if not colon or not scheme:
            return "it has no scheme, as in https://"
        if cls.schemes and scheme.lower() not in cls.schemes:
            return f"expected {' or '.join(f'{known}://' for known in sorted(cls.schemes))}"
        try:
            parts = urlsplit(text)
            _ = parts.port
        except ValueError as error:
            return str(error).lower()
        return "it names no host" if cls.schemes and not parts.hostname else ""


class HttpUrl(Url):
    """A URL of the web: http:// or https://."""

    __slots__ = ()

    schemes: ClassVar[frozenset[str]] = frozenset({"http", "https"})
