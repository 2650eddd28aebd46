"""A server that is not there."""

from typing import ClassVar

from isthmus.testing.faults.fault import NetworkFault

__all__ = ["Refuse"]


class Refuse(NetworkFault):
    """Nobody can connect: "connection refused", and not to be limited. What is connected
    stays so. The port is kept."""

    refuses: ClassVar[bool] = True

    def __init__(self) -> None:
        super().__init__()
