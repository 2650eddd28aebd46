"""What adapters tell."""

from isthmus.signals import Signal

__all__ = ["AdapterCalled"]


class AdapterCalled(Signal, frozen=True, kw_only=True):
    """A method of an adapter was called, and ended."""

    adapter: str
    provider: str
    """Name of the implementation, as "stripelike"; the class' of one that stands in."""
    operation: str
    """The method."""
    error: str
    """Type of the error that the caller got; "" if there was none."""
    took: float
    """Seconds, policies included."""
