"""How far a group is behind, partition by partition."""

from collections.abc import Mapping

import msgspec

from isthmus.contracts import LogEngine
from isthmus.errors import NotFoundError

__all__ = ["Lag", "lag_of"]


class Lag(msgspec.Struct, frozen=True, kw_only=True):
    """A group in one partition."""

    partition: int
    position: int
    """The offset it goes on at."""
    end: int
    """The offset that comes next."""
    behind: int
    """Offsets between the two; fewer records if compaction took some."""
    since: float | None
    """When the oldest record it has not handled was appended; None if there is none."""


async def lag_of(log: LogEngine, stream: str, group: str) -> Mapping[int, Lag]:
    """Return the lag of a group; one that never read is behind by all there is.

    Raises:
        NotFoundError: The group never joined.
    """
    first, ends = await log.offsets(stream, at="first"), await log.offsets(stream, at="end")
    positions = await log.positions(stream, group)
    if not positions and group not in await log.groups(stream):
        known = ", ".join(sorted(await log.groups(stream))) or "none"
        raise NotFoundError(f"no group {group!r} ever read stream {stream!r}; known are: {known}")
    return {
        partition: await _lag(log, stream, partition, max(positions.get(partition, 0), start), end)
        for partition, start, end in ((p, first[p], ends[p]) for p in sorted(ends))
    }


async def _lag(log: LogEngine, stream: str, partition: int, position: int, end: int) -> Lag:
    behind = max(0, end - position)
    oldest = await log.read(stream, partition, offset=position, limit=1) if behind else ()
    return Lag(
        partition=partition,
        position=position,
        end=end,
        behind=behind,
        since=oldest[0].at if oldest else None,
    )
