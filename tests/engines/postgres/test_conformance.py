"""PostgreSQL fulfils every contract."""

import pytest

from isthmus.testing import (
    QueueConformance,
    StoreConformance,
    TransactionConformance,
)


class OnPostgres:
    @pytest.fixture
    def url(self, url: str) -> str:
        return url


class TestQueue(OnPostgres, QueueConformance): ...


class TestStore(OnPostgres, StoreConformance): ...


class TestTransactions(OnPostgres, TransactionConformance): ...
