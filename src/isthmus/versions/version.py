"""The version that a request asked for, as a handler sees it."""

from contextvars import ContextVar
from functools import total_ordering

from isthmus.errors import ConfigError
from isthmus.versions.names import Names

__all__ = ["Version", "asked", "current"]


@total_ordering
class Version:
    """One version of an API. It compares with others, and with their names:
    `if version < "v2": ...`; an unknown name raises UnknownVersionError."""

    __slots__ = ("_age", "_names", "name")

    def __init__(self, name: str, names: Names) -> None:
        self.name = name
        self._names, self._age = names, names.age(name)

    def __str__(self) -> str:
        return self.name

    def __repr__(self) -> str:
        return f"Version({self.name!r})"

    def __hash__(self) -> int:
        return hash(self.name)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, str | Version):
            return self._age == self._age_of(other)
        return NotImplemented

    def __lt__(self, other: "Version | str") -> bool:
        return self._age > self._age_of(other)

    @property
    def is_head(self) -> bool:
        """Whether it is the newest, which the code is written for."""
        return self._age == 0

    def _age_of(self, other: "Version | str") -> int:
        return self._names.age(other if isinstance(other, str) else other.name)


asked: ContextVar[Version | None] = ContextVar("isthmus-api-version", default=None)
"""What the request that is served here asked for; None outside of a versioned one."""


def current() -> Version:
    """Return the version that the request asked for which is served here.

    Raises:
        ConfigError: No versioned request is served here.
    """
    if (version := asked.get()) is None:
        raise ConfigError(
            "no API version was asked for here: this is outside of a request, or of a path that "
            "`app.versions` leaves alone"
        )
    return version
