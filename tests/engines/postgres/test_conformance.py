"""PostgreSQL fulfils every contract."""

import pytest

from isthmus.testing import (
    StoreConformance,
    TransactionConformance,
)


class OnPostgres:
    @pytest.fixture
    def url(self, url: str) -> str:
        return url


class TestStore(OnPostgres, StoreConformance): ...


class TestTransactions(OnPostgres, TransactionConformance): ...
