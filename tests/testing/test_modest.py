"""An engine that can little, and says so, is judged fairly; its refusals are tested."""

from typing import Any, NoReturn

import pytest
from msgspec.structs import replace

from isthmus.clock import Clock
from isthmus.connect import connect
from isthmus.errors import ConfigError, UnsupportedError
from isthmus.message import new_id
from isthmus.testing import (
    EngineConformance,
    LogConformance,
    QueueConformance,
    StoreConformance,
    TransactionConformance,
)

LONGEST = 60.0


def refuse(capability: str) -> NoReturn:
    raise UnsupportedError(f"modest: no {capability}; memory:// can")


def require_none(tx: Any) -> None:
    if tx is not None:
        raise ConfigError(f"modest shares no transactions, and {tx.scope} is one's scope")


class Through:
    """Passes everything on, except what a subclass says otherwise."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


class ModestQueue(Through):
    @property
    def capabilities(self):
        able = self.inner.capabilities
        return replace(able, scope="", ordered=False, browsable=False, max_delay=LONGEST)

    async def declare(self, topic, subscription, *, ordered=False, retention=None, max_length=None):
        if ordered:
            refuse("ordered")
        if retention is not None or max_length is not None:
            refuse("browsable")
        await self.inner.declare(topic, subscription)

    async def send(self, topic, messages, *, delay=0.0, tx=None):
        if delay > LONGEST:
            refuse(f"delay beyond {LONGEST} s")
        require_none(tx)
        await self.inner.send(topic, messages, delay=delay)

    async def browse(self, topic, subscription, *, after="", limit=100):
        refuse("browsable")

    async def remove(self, topic, subscription, ids, *, tx=None):
        refuse("browsable")


class ModestLog(Through):
    @property
    def capabilities(self):
        return replace(
            self.inner.capabilities,
            scope="",
            versioned=False,
            retention=False,
            compaction=False,
            timed=False,
        )

    async def declare(
        self,
        log,
        *,
        partitions=1,
        versioned=False,
        retention=None,
        max_bytes=None,
        compaction=False,
    ):
        if versioned:
            refuse("versioned")
        if retention is not None or max_bytes is not None:
            refuse("retention")
        if compaction:
            refuse("compaction")
        await self.inner.declare(log, partitions=partitions)

    async def append(self, log, messages, *, expected=None, tx=None):
        if expected is not None:
            refuse("versioned")
        require_none(tx)
        await self.inner.append(log, messages)

    async def history(self, log, key, *, after=0, limit=1000, tx=None):
        refuse("versioned")

    async def offsets(self, log, *, at):
        if isinstance(at, float):
            refuse("timed")
        return await self.inner.offsets(log, at=at)


class Modest(Through):
    @property
    def queue(self):
        return ModestQueue(self.inner.queue)

    @property
    def log(self):
        return ModestLog(self.inner.log)


class OnModest:
    @pytest.fixture
    def url(self) -> str:
        return f"memory://{new_id()}"

    async def open(self, url: str, clock: Clock) -> Any:
        return Modest(await connect(url, clock=clock))


class TestQueueThatRefuses(OnModest, QueueConformance): ...


class TestLogThatRefuses(OnModest, LogConformance): ...


class TestStoreBesideThem(OnModest, StoreConformance): ...


class TestTransactionsBesideThem(OnModest, TransactionConformance): ...


class TestEngineThatRefuses(OnModest, EngineConformance): ...
