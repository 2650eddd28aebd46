"""The log contract: ordered, replayable records, read by groups.

A log has partitions; a partition is a sequence of records, each at an offset
that only grows. Records of one key share a partition, in their order.

    append ──► partition 0  ─────────────►  read(offset)          anyone
           ──► partition 1  ─────────────►  member.read ──► commit   a group

One contract serves two uses, because a stream of event sourcing is a *key*:

    streaming        log "ledger", 8 partitions; key = account; groups
    event sourcing   log "account" with `versioned=True`; key = "acc-1";
                     `history(key)` is the aggregate's stream, `expected` its
                     optimistic lock; projections are groups over the log,
                     and its partitions are how far they run in parallel

A group divides the partitions among its members; each has one owner at a time
and an epoch that grows with every owner (and may grow for an old one, whenever
the members change); a former epoch's `commit` is refused. A member that does
not `read` for `session` seconds loses its partitions. See also
`isthmus.contracts`.
"""

from collections.abc import Awaitable, Mapping, Sequence
from typing import Literal, Protocol
from zlib import crc32

import msgspec

from isthmus.contracts.store import Durability, Transaction, Tx
from isthmus.message import Message

__all__ = ["Edge", "LogCapabilities", "LogEngine", "Member", "Record", "Versions", "partition_of"]

Edge = Literal["first", "end"]
Versions = Mapping[str, int] | None


class LogCapabilities(msgspec.Struct, frozen=True, kw_only=True):
    """What an engine does beyond the floor; asked before each use."""

    scope: str
    """Transactions of stores with this scope cover this log; "" if none do."""
    durable: Durability
    versioned: bool
    """`declare(versioned=True)`, `expected` and `history` are honoured."""
    retention: bool
    """`declare(retention=..., max_bytes=...)` removes older records."""
    compaction: bool
    """`declare(compaction=True)` keeps at least the newest of each key."""
    timed: bool
    """`offsets(at=moment)` is honoured."""
    max_batch: int
    max_body: int
    """Most records in one `append`; largest body, in bytes."""


class Record(msgspec.Struct, frozen=True, gc=False):
    """One message at its place."""

    message: Message
    partition: int
    offset: int
    """Grows within the partition; gaps are allowed."""
    at: float
    """The moment it was appended, by the clock of who did: it may step back."""
    version: int = 0
    """1, 2, 3 ... within the key, without gaps; 0 if not versioned."""


class Member(Protocol):
    """One reader of a group: joined, drained, left."""

    @property
    def owned(self) -> Mapping[int, int]:
        """Partition -> epoch, as of the last `read`."""
        ...

    @property
    def revoking(self) -> frozenset[int]:
        """Owned, but to be shared out anew: finish, commit and `release` them.
        An engine may ask for all of them, and give some back in a new epoch."""
        ...

    async def read(self, limit: int, *, wait: float) -> Sequence[Record]:
        """The next records of owned, unrevoked partitions; in order within
        each, none of them starved by another.

        Starts at the committed position of each new partition. Returns early,
        maybe empty, when `owned` or `revoking` changed. Keeps the membership
        alive: call it every session/3 at least, if need be with `limit=0`."""
        ...

    async def commit(self, positions: Mapping[int, int], *, tx: Tx = None) -> None:
        """Set where the group goes on: one past the last record done.

        Raises:
            LeaseLostError: `.lost` have, or may have, another owner; nothing
                was set.
        """

    async def guard(self, partitions: Sequence[int], *, tx: Transaction) -> None:
        """Let `tx` commit only if these partitions are still owned; unlike
        `commit`, guards of one partition do not wait for each other."""

    async def release(self, partitions: Sequence[int]) -> None:
        """Hand them over now; positions stay as they were committed."""

    async def drain(self) -> None:
        """Read no more: a waiting `read` returns at once; `commit` goes on."""

    async def aclose(self) -> None:
        """Leave the group, releasing everything."""


class LogEngine(Protocol):
    """Keeps logs and the positions of the groups that read them."""

    @property
    def capabilities(self) -> LogCapabilities: ...

    async def declare(
        self,
        log: str,
        *,
        partitions: int = 1,
        versioned: bool = False,
        retention: float | None = None,
        max_bytes: int | None = None,
        compaction: bool = False,
    ) -> None:
        """Create the log, or give it these limits, which `maintain` applies:
        `retention` in seconds since the append, `max_bytes` of bodies and keys
        in each partition, or more where records go in whole segments. With
        `compaction` a record may go once a newer one has its key; an empty body
        is a tombstone, which goes too in the end.

        Raises:
            ConfigError: It exists with other partitions or versions.
        """

    def append(
        self, log: str, messages: Sequence[Message], *, expected: Versions = None, tx: Tx = None
    ) -> Awaitable[None]:
        """Add `messages`; those of one key in order and, if versioned, whole.
        `expected` maps a key to its last version (0: no record yet).

        Raises:
            NotFoundError: The log was never declared.
            ConfigError: A body is larger than `max_body`; nothing was added.
            ConflictError: A key has another version; nothing was added.
            UnavailableError: A part may have been added.
        """
        ...

    async def read(
        self, log: str, partition: int, *, offset: int, limit: int, wait: float = 0.0
    ) -> Sequence[Record]:
        """Records from `offset` on, as soon as there are any. Never passes
        over a record that commits later with a smaller offset."""
        ...

    async def history(
        self, log: str, key: str, *, after: int = 0, limit: int = 1000, tx: Tx = None
    ) -> Sequence[Record]:
        """Records of one key with versions above `after`, oldest first."""
        ...

    async def offsets(self, log: str, *, at: Edge | float) -> Mapping[int, int]:
        """Per partition the offset that is first, next to come, or of the
        first record whose `at` is that moment or later."""
        ...

    async def join(
        self, log: str, group: str, *, start: Edge = "first", session: float = 10.0
    ) -> Member:
        """Enter the group; `start` holds for partitions without a position."""
        ...

    async def positions(self, log: str, group: str) -> Mapping[int, int]:
        """Per partition where the group goes on; empty if nobody ever joined."""
        ...

    async def seek(self, log: str, group: str, positions: Mapping[int, int]) -> None:
        """Set where a group goes on, whoever reads: its members lose these
        partitions (`commit` of a former epoch is refused) and take them again.

        Raises:
            ConflictError: The engine cannot while the group has members.
        """

    async def groups(self, log: str) -> Sequence[str]:
        """Every group that ever joined, in no order."""
        ...

    async def logs(self) -> Sequence[str]:
        """Every declared log, in no order."""
        ...

    async def trim(self, log: str, before: Mapping[int, int]) -> None:
        """Drop the records below these offsets, whatever the retention; a member
        may still return what it has fetched ahead."""

    async def maintain(self) -> int:
        """Apply retention and compaction, to a bounded number of records;
        return how many went. Engines that do so by themselves return 0."""
        ...


def partition_of(key: str, partitions: int) -> int:
    """Return the partition of a key where the engine leaves the choice to us.

    Source: CRC-32 (IEEE 802.3) of the UTF-8 bytes, modulo the partitions; it
    must never change, or a key's records would part.
    """
    return crc32(key.encode()) % partitions
