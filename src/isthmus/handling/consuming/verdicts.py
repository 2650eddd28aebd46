"""What a handler may raise to say how its message goes on."""

from isthmus.clock import Span, seconds

__all__ = ["Postpone", "Reject"]


class Reject(Exception):  # noqa: N818 - a verdict, not a fault
    """This message will never work: a dead letter at once, without further attempts."""


class Postpone(Exception):  # noqa: N818 - a verdict, not a fault
    """Not now: the message comes back after `delay`, and the attempt does not count."""

    def __init__(self, delay: Span, reason: str = "") -> None:
        super().__init__(reason or f"postponed {seconds(delay):g} s")
        self.delay = seconds(delay)
