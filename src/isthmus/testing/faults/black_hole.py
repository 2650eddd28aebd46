"""A way on which everything is lost."""

from typing import Unpack

from isthmus.clock import Span
from isthmus.resilience.options import span_of
from isthmus.testing.faults.fault import Forward, Limits, NetworkFault, Passage, Wire

__all__ = ["BlackHole"]


class BlackHole(NetworkFault):
    """Connections stand, and nothing that is sent arrives; it is gone when this ends, too.

    With `timeout` a connection is closed so many seconds after it fell in.
    """

    def __init__(self, *, timeout: Span | None = None, **limits: Unpack[Limits]) -> None:
        super().__init__(**limits)
        self._timeout = None if timeout is None else span_of("BlackHole", "timeout", timeout)

    async def befall(self, data: bytes, passage: Passage, forward: Forward) -> None:
        """Go no further."""

    async def attend(self, wire: Wire) -> None:
        if self._timeout is not None:
            await wire.wait(self, self._timeout)
            wire.close()
