"""The App's store as state that policies of several processes share."""

from isthmus.contracts import Put
from isthmus.errors import ConflictError
from isthmus.handling.declarations import Declarations
from isthmus.resilience.shared import SharedState, Versioned

__all__ = ["StoreState"]

SPACE = "resilience"


class StoreState:
    """Shared state in the store of whichever App `declared` runs in; before it is open, each
    call raises ConfigError, which a policy takes for a state that is out of reach.

    It is written at once, never with a handler's transaction: what was found out about a
    dependency stands, whatever becomes of the message.
    """

    def __init__(self, declared: Declarations) -> None:
        self._declared = declared

    async def read(self, name: str) -> Versioned:
        found = (await self._declared.host.store.get(SPACE, [name])).get(name)
        return Versioned(b"", 0) if found is None else Versioned(found.value, found.version)

    async def write(
        self, name: str, value: bytes, *, if_version: int, ttl: float | None = None
    ) -> bool:
        try:
            await self._declared.host.store.put(SPACE, [Put(name, value, if_version, ttl)])
        except ConflictError:
            return False
        return True


_: type[SharedState] = StoreState
