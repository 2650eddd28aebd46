"""Which flows there are, by status: small entries, so that nobody reads all to find one."""

from collections.abc import Sequence
from typing import get_args

import msgspec

from isthmus.contracts import Put, StoreEngine
from isthmus.errors import ConfigError
from isthmus.flows.status import Status

__all__ = ["SPACE", "Listed", "change", "listed"]

SPACE = "isthmus.flows"
PAGE = 500


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    """A flow, as a list shows it."""

    flow: str
    key: str
    status: Status
    begun_at: float
    """Unix seconds; 0 if it has not begun."""
    changed_at: float
    """When it came to have this status."""
    reason: str = ""
    """Why it failed, or timed out."""


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Listed).decode


def change(before: Status | None, listed: Listed, *, ttl: float | None) -> list[Put]:
    """Return the changes that have a flow listed under its status, for `ttl` seconds."""
    new = Put(_place(listed.status, listed), _encode(listed), ttl=ttl)
    if before is None or before == listed.status:
        return [new]
    return [Put(_place(before, listed), None), new]


async def listed(
    store: StoreEngine, *, status: Status, flow: str = "", after: str = "", limit: int = 100
) -> Sequence[Listed]:
    """Return flows of a status, and of a name unless it is "", by name and key, from the first
    beyond `after`, as "fulfilment/order-7"."""
    if status not in get_args(Status):
        raise ConfigError(f"status={status!r}: expected one of {', '.join(get_args(Status))}")
    prefix = f"{status}/{flow}/" if flow else f"{status}/"
    at = max(prefix, f"{status}/{after}" if after else prefix)
    found = list[Listed]()
    while len(found) < limit:
        wanted = min(PAGE, limit - len(found))
        page = await store.scan(SPACE, after=at, limit=wanted)
        found += [_decode(entry.value) for place, entry in page if place.startswith(prefix)]
        if len(page) < wanted or not page[-1][0].startswith(prefix):
            break
        at = page[-1][0]
    return found


def _place(status: Status, listed: Listed) -> str:
    return f"{status}/{listed.flow}/{listed.key}"
