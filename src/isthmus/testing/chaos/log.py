"""A log that fails by script."""

from collections.abc import Mapping, Sequence
from typing import Any

from isthmus.contracts import (
    Edge,
    LogCapabilities,
    LogEngine,
    Member,
    Record,
    Transaction,
    Tx,
    Versions,
)
from isthmus.message import Message
from isthmus.testing.chaos.script import ANY, READS, Chaos, Fault
from isthmus.testing.chaos.store import inner

__all__ = ["ChaoticLog", "ChaoticMember"]


class ChaoticMember:
    def __init__(self, member: Member, chaos: Chaos) -> None:
        self._member = member
        self._chaos = chaos

    @property
    def owned(self) -> Mapping[int, int]:
        return self._member.owned

    @property
    def revoking(self) -> frozenset[int]:
        return self._member.revoking

    async def read(self, limit: int, *, wait: float) -> Sequence[Record]:
        return await self._chaos.befall(
            "read", lambda: self._member.read(limit, wait=wait), may=READS
        )

    async def commit(self, positions: Mapping[int, int], *, tx: Tx = None) -> None:
        await self._chaos.befall(
            "commit positions", lambda: self._member.commit(positions, tx=inner(tx)), may=ANY
        )

    async def guard(self, partitions: Sequence[int], *, tx: Transaction) -> None:
        within = inner(tx)
        assert within is not None
        await self._chaos.befall(
            "guard", lambda: self._member.guard(partitions, tx=within), may=READS
        )

    async def release(self, partitions: Sequence[int]) -> None:
        await self._member.release(partitions)

    async def drain(self) -> None:
        await self._member.drain()

    async def aclose(self) -> None:
        await self._member.aclose()


class ChaoticLog:
    def __init__(self, log: LogEngine, chaos: Chaos) -> None:
        self._log = log
        self._chaos = chaos

    @property
    def capabilities(self) -> LogCapabilities:
        return self._log.capabilities

    async def declare(self, log: str, **options: Any) -> None:
        await self._chaos.befall("declare", lambda: self._log.declare(log, **options), may=ANY)

    async def append(
        self, log: str, messages: Sequence[Message], *, expected: Versions = None, tx: Tx = None
    ) -> None:
        await self._chaos.befall(
            "append",
            lambda: self._log.append(log, messages, expected=expected, tx=inner(tx)),
            may=ANY if expected else ANY | {Fault.TWICE},
        )

    async def read(
        self, log: str, partition: int, *, offset: int, limit: int, wait: float = 0.0
    ) -> Sequence[Record]:
        return await self._chaos.befall(
            "read",
            lambda: self._log.read(log, partition, offset=offset, limit=limit, wait=wait),
            may=READS,
        )

    async def history(
        self, log: str, key: str, *, after: int = 0, limit: int = 1000, tx: Tx = None
    ) -> Sequence[Record]:
        return await self._chaos.befall(
            "history",
            lambda: self._log.history(log, key, after=after, limit=limit, tx=inner(tx)),
            may=READS,
        )

    async def offsets(self, log: str, *, at: Edge | float) -> Mapping[int, int]:
        return await self._chaos.befall("offsets", lambda: self._log.offsets(log, at=at), may=READS)

    async def join(
        self, log: str, group: str, *, start: Edge = "first", session: float = 10.0
    ) -> Member:
        joined = await self._chaos.befall(
            "join", lambda: self._log.join(log, group, start=start, session=session), may=READS
        )
        return ChaoticMember(joined, self._chaos)

    async def positions(self, log: str, group: str) -> Mapping[int, int]:
        return await self._chaos.befall(
            "positions", lambda: self._log.positions(log, group), may=READS
        )

    async def seek(self, log: str, group: str, positions: Mapping[int, int]) -> None:
        await self._chaos.befall("seek", lambda: self._log.seek(log, group, positions), may=ANY)

    async def groups(self, log: str) -> Sequence[str]:
        return await self._chaos.befall("groups", lambda: self._log.groups(log), may=READS)

    async def logs(self) -> Sequence[str]:
        return await self._chaos.befall("logs", self._log.logs, may=READS)

    async def trim(self, log: str, before: Mapping[int, int]) -> None:
        await self._chaos.befall("trim", lambda: self._log.trim(log, before), may=ANY)

    async def maintain(self) -> int:
        return await self._chaos.befall("maintain", self._log.maintain, may=ANY)


_: type[LogEngine] = ChaoticLog
__: type[Member] = ChaoticMember
