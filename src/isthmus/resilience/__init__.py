"""What to do about a call that may fail; one file a policy."""

from isthmus.resilience.retry import Jitter, Retry

__all__ = ["Jitter", "Retry"]
