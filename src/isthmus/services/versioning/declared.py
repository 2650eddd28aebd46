"""What API versions add to the declared model."""

from collections.abc import Sequence
from typing import ClassVar

from isthmus.handling.model import Declared
from isthmus.versions import Versions

__all__ = ["DeclaredVersions"]


class DeclaredVersions(Declared, frozen=True, kw_only=True):
    """The versions of an App's API."""

    kind: ClassVar[str] = "versions"
    table: Versions
    """Written, it is their names, newest first."""
    by: Sequence[str]
    """How a request says which it wants."""
    default: str
    """Of requests that don't say; "" if they are refused."""
