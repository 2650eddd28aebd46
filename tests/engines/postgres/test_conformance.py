"""PostgreSQL fulfils every contract."""

import pytest

from isthmus.testing import (
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
