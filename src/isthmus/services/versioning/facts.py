"""What the layer tells."""

from isthmus.signals import Signal

__all__ = ["DeprecatedVersionCalled"]


class DeprecatedVersionCalled(Signal, frozen=True, kw_only=True):
    """Somebody still uses a version that is deprecated; or used one that is gone."""

    version: str
    operation: str
    """As "POST /orders"; with the path that was called where its template is not known."""
    gone: bool
    user_agent: str
    """Who; "" if the request does not say."""
