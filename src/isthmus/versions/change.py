"""What one version changed of one type, or of one operation: told and led both ways."""

import inspect
from collections.abc import Callable
from difflib import get_close_matches
from typing import Any, cast

import msgspec

from isthmus.errors import ConfigError
from isthmus.schema.kinds import is_model, type_name
from isthmus.versions.errors import MigrationError

__all__ = ["Change", "Lead", "made"]

_WORDS = ("upgrade", "downgrade")

ALMOST = 0.85
"""How like one another two names are of which one is taken for the other, 0 to 1."""

Lead = Callable[[Any], Any]
"""One document, mostly a dict, to its next or previous form. It may change what it is given."""


class Change(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """One change. The step that it is part of leads from the version before to its own."""

    version: str
    """Which made it."""
    name: str
    """The class that describes it: "TotalInCents"."""
    told: str
    """Its docstring: for who uses the API."""
    subject: Any = None
    """The type that was changed, as it is at HEAD; None for an operation."""
    operation: str = ""
    """The operation that was changed, as "POST /orders"; "" for a type."""
    was: Any = None
    """The type as it was before, if that is known."""
    upgrade: Lead | None = None
    downgrade: Lead | None = None

    @property
    def of(self) -> str:
        """What was changed, for people."""
        return self.operation or type_name(self.subject)

    def up(self, old: Any) -> Any:
        """Raises MigrationError if it fails."""
        return self._led("upgrade", self.upgrade, old)

    def down(self, new: Any) -> Any:
        """Raises MigrationError if it fails."""
        return self._led("downgrade", self.downgrade, new)

    def _led(self, word: str, lead: Lead | None, value: Any) -> Any:
        if lead is None or (self.subject is not None and not isinstance(value, dict)):
            return value  # what is no object is not of this type: whoever reads it says so
        try:
            found = lead(value)
        except Exception as error:
            missing = error.args[0] if isinstance(error, KeyError) and error.args else ""
            raise MigrationError(
                f"{self.name}.{word} ({self.version}, {self.of}) failed: {error!r}",
                missing=missing if isinstance(missing, str) else "",
            ) from error
        if found is None and value is not None:
            raise MigrationError(
                f"{self.name}.{word} ({self.version}, {self.of}) returned None; "
                "return the changed dict"
            )
        return found


def made(cls: type, version: str, *, subject: Any, operation: str) -> Change:
    """Return the change that `cls` describes.

    Raises:
        ConfigError: It has neither words nor functions, or they are not what is expected.
    """
    described: Any = cls()
    _refuse_misspelt(cls)
    upgrade, downgrade = (_lead(cls, described, word) for word in _WORDS)
    told = inspect.cleandoc(cls.__doc__ or "")
    if not (told or upgrade or downgrade):
        raise ConfigError(
            f"{cls.__qualname__} says nothing of {version}: give it a docstring, and "
            "`upgrade(self, old)` or `downgrade(self, new)`"
        )
    return Change(
        version=version,
        name=cls.__name__,
        told=told,
        subject=subject,
        operation=operation,
        was=_was(cls, subject),
        upgrade=upgrade,
        downgrade=downgrade,
    )


def _refuse_misspelt(cls: type) -> None:
    """Raises ConfigError for a function that would never be called, as `upgrad`."""
    for name in vars(cls).keys() - set(_WORDS):
        for meant in get_close_matches(name, _WORDS, n=1, cutoff=ALMOST):
            raise ConfigError(f"{cls.__qualname__}.{name} is not looked at; {meant} was meant?")


def _lead(cls: type, described: Any, word: str) -> Lead | None:
    found = getattr(described, word, None)
    if found is None:
        return None
    if not callable(found) or inspect.iscoroutinefunction(found):
        raise ConfigError(f"{cls.__qualname__}.{word} must be a function of a dict, not async")
    return cast("Lead", found)


def _was(cls: type, subject: Any) -> Any:
    was = getattr(cls, "was", None)
    if was is None:
        return None
    if subject is None:
        raise ConfigError(
            f"{cls.__qualname__}.was: a change of an operation has none; say what it takes with "
            "`versions.operation`, and change the type"
        )
    if not is_model(was) or was is subject:
        raise ConfigError(
            f"{cls.__qualname__}.was is {type_name(was)}: expected the model as it was before"
        )
    return was
