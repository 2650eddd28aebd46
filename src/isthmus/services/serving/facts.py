"""What the HTTP server tells."""

from isthmus.signals import Signal

__all__ = ["ServerListening"]


class ServerListening(Signal, frozen=True, kw_only=True):
    """The server takes requests at `address`, as "http://127.0.0.1:8000"."""

    address: str
