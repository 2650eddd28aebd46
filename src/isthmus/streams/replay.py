"""Reading again: a group is set to another place, without disturbing others.

The notes of what is done beyond the positions, and the ids of parked records that
were handled, belong to the reading that ends here. They go before anybody reads
on: an entry of the store says that a replay begins, and whoever takes a partition
waits until it is gone.
"""

from collections.abc import Mapping
from datetime import datetime

from isthmus.contracts import Edge, LogEngine, Put, StoreEngine
from isthmus.errors import ConfigError, NotFoundError, UnsupportedError
from isthmus.handling.host import Host
from isthmus.streams.notes import Notes
from isthmus.streams.place import Place

__all__ = ["To", "offsets_at", "replay", "until_no_replay_begins"]

To = str | float | datetime | Mapping[int, int]
"""Where to: "start", "end", a moment, or an offset for each of some partitions."""

SPACE, SOON = "replays", 0.05
LONGEST = 30.0
"""Seconds after which a replay that never ended, because its process died, is over."""
PAGE = 1000

_EDGES: Mapping[str, Edge] = {
    "start": "first",
    "earliest": "first",
    "end": "end",
    "latest": "end",
}


async def replay(host: Host, of: Place, to: To) -> Mapping[int, int]:
    """Set a group to `to`, whoever reads; return its positions there. If it fails
    half-way, call it again."""
    positions = await offsets_at(host.log, of.stream, to)
    await host.store.put(SPACE, [Put(of.address, b"", ttl=LONGEST)])
    await host.log.seek(of.stream, of.group, positions)
    await Notes(host.store, of).clear(positions)
    await _clear(host.store, of.inbox)
    await host.store.put(SPACE, [Put(of.address, None)])
    return positions


async def until_no_replay_begins(host: Host, of: Place) -> None:
    """Wait while a replay of the group is under way, a moment mostly."""
    while await host.store.get(SPACE, [of.address]):
        await host.clock.sleep(SOON)


async def offsets_at(log: LogEngine, stream: str, to: To) -> Mapping[int, int]:
    """Return the offset of each partition that `to` means.

    Raises:
        ConfigError: `to` is none of "start", "end", a moment, a mapping; or the moment
            has no time zone.
        UnsupportedError: The engine knows no moments.
        NotFoundError: There is no such partition.
    """
    if isinstance(to, str):
        return await log.offsets(stream, at=_edge(to))
    if isinstance(to, Mapping):
        return await _existing(log, stream, to)
    if not log.capabilities.timed:
        raise UnsupportedError(
            f"the engine of stream {stream!r} finds no records by time; "
            "sqlite:// and memory:// do, or give offsets"
        )
    return await log.offsets(stream, at=moment(to))


def moment(at: float | datetime) -> float:
    """Return `at` as Unix seconds; ConfigError if it has no time zone."""
    if not isinstance(at, datetime):
        return float(at)
    if at.tzinfo is None:
        raise ConfigError(f"{at.isoformat()} has no time zone; use datetime.now(UTC)")
    return at.timestamp()


def _edge(to: str) -> Edge:
    if to not in _EDGES:
        raise ConfigError(
            f'a stream has no place {to!r}; give "start", "end", a datetime, '
            "or a mapping of partition to offset"
        )
    return _EDGES[to]


async def _existing(log: LogEngine, stream: str, offsets: Mapping[int, int]) -> Mapping[int, int]:
    known = await log.offsets(stream, at="first")
    if unknown := sorted(set(offsets) - set(known)):
        raise NotFoundError(
            f"stream {stream!r} has partitions 0 to {len(known) - 1}, not {unknown[0]}"
        )
    return offsets


async def _clear(store: StoreEngine, space: str) -> None:
    while page := await store.scan(space, limit=PAGE):
        await store.put(space, [Put(key, None) for key, _ in page])
