"""What clients add to the declared model."""

from typing import ClassVar

from isthmus.handling.model import Declared

__all__ = ["DeclaredClient"]


class DeclaredClient(Declared, frozen=True, kw_only=True):
    """An upstream that is called over HTTP."""

    kind: ClassVar[str] = "client"
    base_url: str
    policy: tuple[str, ...]
    """Its strategies, outermost first, as they were when it was declared."""
