"""Which sagas there are, by status: small entries, so that nobody reads histories to find one."""

from collections.abc import Sequence
from typing import get_args

import msgspec

from isthmus.contracts import Put, StoreEngine
from isthmus.errors import ConfigError
from isthmus.sagas.status import Status

__all__ = ["SPACE", "Listed", "change", "entry", "listed"]

SPACE = "isthmus.sagas"
PAGE = 500


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    """A saga, as a list shows it."""

    name: str
    id: str
    version: int
    status: Status
    started_at: float
    """Unix seconds."""
    changed_at: float
    """When it came to have this status."""
    detail: str = ""
    """What it is stuck at, or why it compensates."""


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Listed).decode


def entry(listed: Listed, *, ttl: float | None = None) -> Put:
    """Return the change that lists a saga; for `ttl` seconds, if it has ended."""
    return Put(_key(listed.status, listed.name, listed.id), _encode(listed), ttl=ttl)


def change(before: Status, listed: Listed, *, ttl: float | None = None) -> list[Put]:
    """Return the changes that have a saga listed under another status."""
    gone = Put(_key(before, listed.name, listed.id), None)
    return [gone, entry(listed, ttl=ttl)] if before != listed.status else [entry(listed, ttl=ttl)]


async def listed(
    store: StoreEngine,
    *,
    status: Status,
    name: str = "",
    search: str = "",
    after: str = "",
    limit: int = 100,
) -> Sequence[Listed]:
    """Return sagas of a status, and of a name unless it is "", by name and id, from the first
    beyond `after`, as "fulfil/A-1"; those that have `search` in that, or in their detail."""
    if status not in get_args(Status):
        raise ConfigError(f"status={status!r}: expected one of {', '.join(get_args(Status))}")
    prefix = f"{status}/{name}/" if name else f"{status}/"
    at = max(prefix, f"{status}/{after}" if after else prefix)
    found = list[Listed]()
    while len(found) < limit:
        wanted = PAGE if search else min(PAGE, limit - len(found))
        page = await store.scan(SPACE, after=at, limit=wanted)
        ours = [_decode(each.value) for key, each in page if key.startswith(prefix)]
        found += [each for each in ours if _has(each, search)]
        if len(ours) < wanted:
            break
        at = page[-1][0]
    return found[:limit]


def _has(listed: Listed, text: str) -> bool:
    return text.lower() in f"{listed.name}/{listed.id} {listed.detail}".lower()


def _key(status: str, name: str, id: str) -> str:
    return f"{status}/{name}/{id}"
