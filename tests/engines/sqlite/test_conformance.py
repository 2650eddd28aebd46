"""SQLite fulfils every contract, whatever its durability."""

from pathlib import Path

import pytest

from isthmus.testing import (
    EngineConformance,
    LogConformance,
    QueueConformance,
    StoreConformance,
    TransactionConformance,
)


class OnSqlite:
    @pytest.fixture
    def url(self, tmp_path: Path) -> str:
        return f"sqlite:///{tmp_path}/shop.db?durability=normal"


class TestQueue(OnSqlite, QueueConformance): ...


class TestLog(OnSqlite, LogConformance): ...


class TestStore(OnSqlite, StoreConformance): ...


class TestTransactions(OnSqlite, TransactionConformance): ...


class TestEngine(OnSqlite, EngineConformance): ...
