"""Settings as a global of a module: read when they are first looked at, or when the App opens."""

from collections.abc import Callable
from typing import Any

__all__ = ["Lazy"]


class Lazy:
    """Looks and behaves like the value that `read` gives."""

    __slots__ = ("_kind", "_read")

    def __init__(self, kind: type, read: Callable[[], Any]) -> None:
        object.__setattr__(self, "_kind", kind)
        object.__setattr__(self, "_read", read)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)  # who asks for these only wants to know what it is
        return getattr(self._read(), name)

    def __setattr__(self, name: str, value: object) -> None:
        setattr(self._read(), name, value)  # which says that it is frozen

    @property
    def __class__(self) -> type:  # pyright: ignore[reportIncompatibleMethodOverride]
        return self._kind

    def __repr__(self) -> str:
        return repr(self._read())

    def __eq__(self, other: object) -> bool:
        value = self._read()
        return bool(value == (other._read() if type(other) is Lazy else other))

    def __hash__(self) -> int:
        return hash(self._read())
