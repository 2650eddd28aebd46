"""The version in a header of its own: api-version: v2."""

import re

from starlette.types import Scope

from isthmus.errors import ConfigError
from isthmus.services.versioning.asked import Asked, header_of
from isthmus.services.versioning.reader import Reader
from isthmus.services.versioning.refusals import unsupported
from isthmus.versions.names import Names

__all__ = ["NAME", "ByHeader"]

NAME = "api-version"
"""The header where `Header()` names none."""

_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")


class ByHeader(Reader):
    """What `Header("api-version")` means among the places of a version."""

    def __init__(self, name: str) -> None:
        """Raises ConfigError if it is no name of a header."""
        self.name = (name or NAME).lower()
        if not _TOKEN.fullmatch(self.name):
            raise ConfigError(f"Header({name!r}): that is no name of a header")
        self._key = self.name.encode()

    def __repr__(self) -> str:
        return f"Header({self.name!r})"

    def read(self, scope: Scope, names: Names) -> Asked | None:
        text = header_of(scope, self._key).strip()
        if not text:
            return None
        if (version := names.find(text)) is None:
            raise unsupported(400, text, names.all)
        return Asked(version, f"the header {self.name!r}")

    @property
    def headers(self) -> tuple[str, ...]:
        return (self.name,)

    def told(self, names: Names) -> str:
        return f"the header '{self.name}: {names.head}'"
