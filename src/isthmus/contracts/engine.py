"""One system behind a URL, with the contracts that it fulfils."""

from typing import Protocol

from isthmus.clock import Clock
from isthmus.contracts.log import LogEngine
from isthmus.contracts.queue import QueueEngine
from isthmus.contracts.store import StoreEngine

__all__ = ["Engine", "OpenEngine"]


class Engine(Protocol):
    """What a URL opens to. A contract that it does not fulfil is None."""

    @property
    def queue(self) -> QueueEngine | None: ...

    @property
    def log(self) -> LogEngine | None: ...

    @property
    def store(self) -> StoreEngine | None: ...

    async def aclose(self) -> None:
        """Finish what was asked for, then let go of everything; twice is once.
        Later calls, and waiting ones, raise UnavailableError."""


class OpenEngine(Protocol):
    """What an entry point of the group "isthmus.engines" names, by scheme."""

    async def __call__(self, url: str, *, clock: Clock) -> Engine:
        """Connect, creating what is missing.

        Raises:
            ConfigError: The URL has an option or a value it must not have.
            UnavailableError: Nobody answers there.
        """
        ...
