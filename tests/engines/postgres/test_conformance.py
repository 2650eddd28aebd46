"""PostgreSQL fulfils every contract."""

import pytest

from isthmus.clock import Clock
from isthmus.connect import connect
from isthmus.contracts import Engine
from isthmus.testing import (
    Chaos,
    Chaotic,
    EngineConformance,
    LogConformance,
    QueueConformance,
    StoreConformance,
    TransactionConformance,
)


class OnPostgres:
    @pytest.fixture
    def url(self, url: str) -> str:
        return url


class TestQueue(OnPostgres, QueueConformance): ...


class TestLog(OnPostgres, LogConformance): ...


class TestStore(OnPostgres, StoreConformance): ...


class TestTransactions(OnPostgres, TransactionConformance): ...


class TestEngine(OnPostgres, EngineConformance): ...


class OnCalmChaos(OnPostgres):
    """Behind the wrapper that fails by script, as long as nothing is on the script."""

    async def open(self, url: str, clock: Clock) -> Engine:
        return Chaotic(await connect(url, clock=clock), Chaos())


class TestTransactionsBehindCalmChaos(OnCalmChaos, TransactionConformance): ...
