"""What HTTP adds to the declared model."""

from typing import ClassVar

from isthmus.handling.model import Declared
from isthmus.services.rest.declared import DeclaredParameter, DeclaredRoute

__all__ = ["DeclaredMount", "DeclaredParameter", "DeclaredRoute"]


class DeclaredMount(Declared, frozen=True, kw_only=True):
    """A foreign ASGI application under a path."""

    kind: ClassVar[str] = "mount"
    application: str
