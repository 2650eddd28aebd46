"""The end of an answer that nobody hears."""

from typing import cast

__all__ = ["ClientGoneError", "is_only_gone"]


class ClientGoneError(OSError):
    """The client of a streamed answer has gone away; nothing reaches it any more.

    Source: ASGI 2.4, "Disconnected Client".
    """


def is_only_gone(error: Exception) -> bool:
    """Return whether it says that a client is gone, and nothing else; so may a group."""
    if isinstance(error, ExceptionGroup):
        group = cast("ExceptionGroup[Exception]", error)
        return all(is_only_gone(member) for member in group.exceptions)
    return isinstance(error, ClientGoneError)
