"""The reference fulfils every contract."""

import pytest

from isthmus.message import new_id
from isthmus.testing import (
    EngineConformance,
    LogConformance,
    QueueConformance,
    StoreConformance,
    TransactionConformance,
)


class OnMemory:
    @pytest.fixture
    def url(self) -> str:
        return f"memory://{new_id()}"


class TestQueue(OnMemory, QueueConformance): ...


class TestLog(OnMemory, LogConformance): ...


class TestStore(OnMemory, StoreConformance): ...


class TestTransactions(OnMemory, TransactionConformance): ...


class TestEngine(OnMemory, EngineConformance): ...
