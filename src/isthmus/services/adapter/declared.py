"""What adapters add to the declared model."""

from typing import ClassVar

from isthmus.handling.model import Declared

__all__ = ["DeclaredAdapter"]


class DeclaredAdapter(Declared, frozen=True, kw_only=True):
    """An interface of the application's own, and who may fulfil it."""

    kind: ClassVar[str] = "adapter"
    interface: str
    methods: tuple[str, ...]
    implementations: tuple[str, ...]
    use: str
    """The one that is used unless configuration says another; "" if it has to say."""
    policy: tuple[str, ...]
    """Strategies around each call, outermost first."""
