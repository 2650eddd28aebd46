"""Flows as a person looks at them, by name and key, whichever App watches over them."""

from collections.abc import Sequence

from isthmus.errors import NotFoundError
from isthmus.flows import index
from isthmus.flows.index import Listed
from isthmus.flows.ledger import Ledger
from isthmus.flows.status import FlowStatus, Status
from isthmus.handling.host import Host

__all__ = ["Flows"]


class Flows:
    """All flows of a store."""

    def __init__(self, host: Host) -> None:
        self._host = host

    async def list(
        self, *, status: Status, flow: str = "", after: str = "", limit: int = 100
    ) -> Sequence[Listed]:
        """Return flows of a status, and of a name unless it is "", by name and key; from the
        first beyond `after`, as "fulfilment/order-7", on."""
        return await index.listed(
            self._host.store, status=status, flow=flow, after=after, limit=limit
        )

    async def status(self, key: str) -> FlowStatus:
        """Return how the flow called `key`, as "fulfilment/order-7", stands.

        Raises:
            NotFoundError: Nothing of it was seen, or its retention is over.
        """
        flow, _, own = key.partition("/")
        if not own:
            raise NotFoundError(f'{key!r} is no flow: write name and key, as "fulfilment/order-7"')
        found = await Ledger(self._host.store, flow).find(own)
        if found is None:
            raise NotFoundError(f"flow {flow!r} saw nothing of {own!r}, or it is too long ago")
        return found.told(flow)
