"""What HTTP adds to the declared model."""

from typing import ClassVar

from isthmus.handling.model import Declared

__all__ = ["DeclaredMount", "DeclaredRoute"]


class DeclaredRoute(Declared, frozen=True, kw_only=True):
    """One method of one path: "POST /v1/orders"."""

    kind: ClassVar[str] = "route"
    method: str
    path: str
    status: int
    """Of an answer that went well."""
    deadline: float | None
    """Seconds after which an answer is worth nothing."""
    takes: str
    """The body's type; "" if it has none."""
    gives: str
    function: str
    """Where it is written: "shop.orders:take"."""


class DeclaredMount(Declared, frozen=True, kw_only=True):
    """A foreign ASGI application under a path."""

    kind: ClassVar[str] = "mount"
    application: str
