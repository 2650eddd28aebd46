"""What messaging adds to the declared model."""

from typing import ClassVar

from isthmus.handling.model import Declared
from isthmus.handling.options import HandlerOptions

__all__ = ["DeclaredHandler", "DeclaredQueue", "DeclaredTopic"]


class DeclaredQueue(Declared, frozen=True, kw_only=True):
    """A work queue."""

    kind: ClassVar[str] = "queue"
    payload: str
    """The schema's name and version, or the type as it is written."""
    ordered: bool
    retention: float | None
    max_length: int | None


class DeclaredTopic(Declared, frozen=True, kw_only=True):
    """A topic."""

    kind: ClassVar[str] = "topic"
    payload: str


class DeclaredHandler(Declared, frozen=True, kw_only=True):
    """A handler of a queue ("orders") or of a subscription ("order-accepted/mail")."""

    kind: ClassVar[str] = "handler"
    topic: str
    function: str
    """Where it is written: "shop.orders:accept"."""
    options: HandlerOptions
