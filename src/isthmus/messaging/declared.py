"""What messaging adds to the declared model."""

from typing import Any, ClassVar

from isthmus.handling.consuming.options import HandlerOptions
from isthmus.handling.model import Declared
from isthmus.schema import Schema

__all__ = ["DeclaredHandler", "DeclaredQueue", "DeclaredTopic"]


class DeclaredQueue(Declared, frozen=True, kw_only=True):
    """A work queue."""

    kind: ClassVar[str] = "queue"
    payload: Schema[Any]
    """Written, it is the schema's name and version, or the type."""
    datacontenttype: str = "application/json"
    """What is written; other formats are read, too."""
    ordered: bool
    retention: float | None
    max_length: int | None


class DeclaredTopic(Declared, frozen=True, kw_only=True):
    """A topic."""

    kind: ClassVar[str] = "topic"
    payload: Schema[Any]
    datacontenttype: str = "application/json"
    """What is written; other formats are read, too."""


class DeclaredHandler(Declared, frozen=True, kw_only=True):
    """A handler of a queue ("orders") or of a subscription ("order-accepted/mail")."""

    kind: ClassVar[str] = "handler"
    topic: str
    function: str
    """Where it is written: "shop.orders:accept"."""
    reply: Schema[Any] | None = None
    """What it answers a request with; None if that is nothing, or it does not say."""
    options: HandlerOptions
