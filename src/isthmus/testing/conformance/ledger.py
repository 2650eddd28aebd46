"""A log with its groups, in the words of the log's tests."""

from collections.abc import Sequence
from typing import Any

import pytest
import pytest_asyncio

from isthmus.clock import Clock
from isthmus.contracts import Engine, LogCapabilities, LogEngine, Member, Record, Tx, Versions
from isthmus.errors import ConflictError
from isthmus.message import Message
from isthmus.testing.conformance.wiring import Conformance, Opening, Rig

__all__ = ["SESSION", "Ledger", "LogTests", "texts"]

SESSION = 10.0
"""In ticks."""


def texts(records: Sequence[Record]) -> list[str]:
    return [record.message.body.decode() for record in records]


class Ledger(Rig):
    """A log of this test's own; its groups are read by members that are polite."""

    @property
    def engine_log(self) -> LogEngine:
        assert self.engine.log is not None
        return self.engine.log

    @property
    def able(self) -> LogCapabilities:
        return self.engine_log.capabilities

    @property
    def log(self) -> str:
        return f"ledger-{self.name}"

    @property
    def group(self) -> str:
        return f"balances-{self.name}"

    async def declare(self, **options: Any) -> None:
        await self.engine_log.declare(self.log, **options)

    async def declare_versioned(self, **options: Any) -> None:
        if not self.able.versioned:
            pytest.skip("capability: versioned")
        await self.declare(versioned=True, **options)

    async def append(
        self,
        *bodies: str,
        key: str = "",
        expected: Versions = None,
        tx: Tx = None,
        **attributes: Any,
    ) -> list[Message]:
        messages = [Message(body=text.encode(), key=key, **attributes) for text in bodies]
        await self.engine_log.append(self.log, messages, expected=expected, tx=tx)
        return messages

    async def read(self, partition: int = 0, *, offset: int = 0) -> list[Record]:
        """Everything from `offset` on."""
        found: list[Record] = []
        while more := await self.engine_log.read(
            self.log, partition, offset=offset, limit=100, wait=self.patience
        ):
            found += more
            offset = more[-1].offset + 1
        return found

    async def history(self, key: str, **page: Any) -> Sequence[Record]:
        return await self.engine_log.history(self.log, key, **page)

    async def first(self, partition: int = 0) -> int:
        return (await self.engine_log.offsets(self.log, at="first"))[partition]

    async def end(self, partition: int = 0) -> int:
        return (await self.engine_log.offsets(self.log, at="end"))[partition]

    async def maintain(self) -> int:
        """Maintain until there is nothing left to do."""
        gone = 0
        while more := await self.engine_log.maintain():
            gone += more
        return gone

    # --- groups

    async def join(self, group: str | None = None, **options: Any) -> Member:
        return await self.engine_log.join(
            self.log, group or self.group, session=SESSION * self.tick, **options
        )

    async def positions(self, group: str | None = None) -> dict[int, int]:
        return dict(await self.engine_log.positions(self.log, group or self.group))

    async def owner(self) -> Member:
        """A member that has taken all partitions."""
        member = await self.join()
        await self.share_out(member)
        return member

    async def share_out(self, *members: Member) -> None:
        """Let all members read nothing, and release what others want, until all is calm."""
        calm, everything = 0, sorted(await self.engine_log.offsets(self.log, at="first"))
        for _ in range(100):
            before = [dict(member.owned) for member in members]
            for member in members:
                await member.read(0, wait=self.patience)
                await member.release(sorted(member.revoking))
            after = [dict(member.owned) for member in members]
            calm = calm + 1 if before == after else 0
            if calm >= 3 and sorted(p for owned in after for p in owned) == everything:
                return
        pytest.fail(f"the members never agreed: {[dict(member.owned) for member in members]}")

    async def ask_back(self, owner: Member, *, newcomer: Member) -> list[Record]:
        """Let `owner` read until it knows what it must release; return what it read last."""
        for _ in range(100):
            await newcomer.read(0, wait=self.patience)
            found = await owner.read(100, wait=self.patience)
            if owner.revoking:
                return list(found)
        pytest.fail("the owner never heard of the newcomer")

    async def seek(self, positions: dict[int, int]) -> None:
        """Set the group's positions, if the engine can while it has members."""
        before = await self.positions()
        try:
            await self.engine_log.seek(self.log, self.group, positions)
        except ConflictError:
            assert await self.positions() == before
            pytest.skip("the engine seeks no group that has members")

    async def fill(self, count: int = 20) -> list[str]:
        """Append a record for each of many keys, so that every partition has some."""
        sent = [f"r{number}" for number in range(count)]
        for text in sent:
            await self.append(text, key=text)
        return sent

    async def fenced(self) -> tuple[Member, Member]:
        """A member that was silent for too long, and the one that took over."""
        former = await self.owner()
        other = await self.join()
        await self.elapse(SESSION * 1.1)
        await self.share_out(other)
        return former, other

    async def drink(self, *members: Member) -> list[Record]:
        """What the members read until there is no more, in their turns."""
        found: list[Record] = []
        empty = 0
        while empty < 3:
            before = len(found)
            for member in members:
                found += await member.read(100, wait=self.patience)
            empty = 0 if len(found) > before else empty + 1
        return found


class LogTests(Conformance):
    @pytest_asyncio.fixture
    async def ledger(self, engine: Engine, clock: Clock, opening: Opening) -> Ledger:
        if engine.log is None:
            pytest.skip("contract: log")
        return self.rig(Ledger, engine, clock, opening)
