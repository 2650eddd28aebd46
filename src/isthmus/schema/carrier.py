"""What carries one type in one format: to bytes, and back."""

from collections.abc import Callable
from typing import Any, Protocol

__all__ = ["Carrier"]


class Carrier(Protocol):
    """One type's way to the bytes of one format and back, compiled once."""

    @property
    def datacontenttype(self) -> str:
        """What `encode` writes."""
        ...

    @property
    def encode(self) -> Callable[[Any], bytes]: ...

    @property
    def decode(self) -> Callable[[bytes], Any]: ...

    def faults(self, body: bytes, error: Exception) -> list[str]:
        """Return every fault in `body`, which `decode` refused with `error`."""
        ...

    def load(self, body: bytes) -> Any:
        """Return what `body` has, of whatever version, for upcasters."""
        ...

    def build(self, value: dict[str, Any]) -> Any:
        """Return the value that an upcaster's result is."""
        ...
