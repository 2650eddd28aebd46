"""The versions of an API by name, newest first; numbers or dates."""

import re
from collections.abc import Sequence
from datetime import date

from isthmus.errors import ConfigError
from isthmus.versions.errors import UnknownVersionError

__all__ = ["Names"]

_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")
_NUMBER = re.compile(r"v?(\d+(?:\.\d+)*)", re.IGNORECASE)
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


class Names:
    """Which versions there are. `all` is newest first; its first is the HEAD version, which
    the code is written for."""

    def __init__(self, names: Sequence[str]) -> None:
        """Raises ConfigError if they are malformed, mixed, or not newest first."""
        self.all = tuple(names)
        self.dated = _checked(self.all)
        """Whether versions are dates, of which any between two may be asked for."""
        self.head, self.oldest = self.all[0], self.all[-1]
        self._ages = {name: age for age, name in enumerate(self.all)}
        self._exact = {name.lower(): name for name in self.all}
        self._short = self._exact | {
            found[1]: name for name in self.all if (found := _NUMBER.fullmatch(name))
        }

    def __str__(self) -> str:
        return ", ".join(self.all)

    def __contains__(self, name: object) -> bool:
        return name in self._ages

    def find(self, text: str, *, exact: bool = False) -> str | None:
        """Return the version that `text` asks for, or None if it asks for none of these.

        "2" is "v2" unless it must be `exact`. A date that is no version gets the newest
        that is not after it.
        """
        known = (self._exact if exact else self._short).get(text.lower())
        if known is None and self.dated and (asked := _date(text)):
            return next((name for name in self.all if date.fromisoformat(name) <= asked), None)
        return known

    def resembles(self, text: str) -> bool:
        """Return whether `text` is written as a version, be it one of these or not."""
        if text.lower() in self._exact:
            return True
        return bool((_DATE if self.dated else _NUMBER).fullmatch(text)) and (
            self.dated or text[:1] in {"v", "V"}
        )

    def require(self, name: str) -> str:
        """Return `name`; raises UnknownVersionError, saying which there are."""
        if name not in self._ages:
            raise UnknownVersionError(f"there is no version {name!r}; there are {self}")
        return name

    def age(self, name: str) -> int:
        """Return how many versions are newer."""
        return self._ages[self.require(name)]

    def after(self, name: str) -> Sequence[str]:
        """Return the versions that are newer than `name`, oldest first: the way to HEAD."""
        return self.all[: self.age(name)][::-1]


def _checked(names: Sequence[str]) -> bool:
    """Return whether all are dates."""
    if not names:
        raise ConfigError('versions() needs names, newest first: versions("v2", "v1")')
    for name in names:
        if not isinstance(name, str) or not _NAME.fullmatch(name):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ConfigError(f"version {name!r}: expected letters, digits and . _ -, as 'v2'")
    if len({name.lower() for name in names}) < len(names):
        raise ConfigError(f"versions {', '.join(names)}: one is there twice")
    dates = [_date(name) for name in names]
    if any(dates) and not all(dates):
        raise ConfigError(f"versions {', '.join(names)}: they are all dates, or none is")
    _refuse_disorder(names, dates if all(dates) else [_number(name) for name in names])
    return all(dates)


def _refuse_disorder(names: Sequence[str], keys: Sequence[object]) -> None:
    if None not in keys and list(keys) != sorted(keys, reverse=True):  # pyright: ignore[reportArgumentType]
        raise ConfigError(f"versions {', '.join(names)}: write the newest first")


def _number(name: str) -> tuple[int, ...] | None:
    found = _NUMBER.fullmatch(name)
    return tuple(map(int, found[1].split("."))) if found else None


def _date(text: str) -> date | None:
    if not _DATE.fullmatch(text):
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None
