"""The contracts as tests: subclass a class for each contract that an engine fulfils.

    class TestQueue(QueueConformance):
        @pytest.fixture
        def url(self, tmp_path: Path) -> str:
            return f"sqlite:///{tmp_path}/shop.db"

Every sentence of a contract has a test of that name. What an engine declares
not to be able to, by its capabilities, it must refuse; the tests see to both.
"""

from isthmus.testing.conformance.engine_life import EngineTests
from isthmus.testing.conformance.log_groups import GroupTests
from isthmus.testing.conformance.log_keeping import LogKeepingTests
from isthmus.testing.conformance.log_members import MemberTests
from isthmus.testing.conformance.log_records import RecordTests
from isthmus.testing.conformance.log_versions import VersionTests
from isthmus.testing.conformance.queue_keeping import KeepingTests
from isthmus.testing.conformance.queue_ordering import OrderingTests
from isthmus.testing.conformance.queue_receiving import ReceivingTests
from isthmus.testing.conformance.queue_sending import SendingTests
from isthmus.testing.conformance.queue_settling import SettlingTests
from isthmus.testing.conformance.store_entries import EntryTests
from isthmus.testing.conformance.transaction_calls import CallTests
from isthmus.testing.conformance.transaction_crowds import CrowdTests
from isthmus.testing.conformance.transaction_ending import EndingTests
from isthmus.testing.conformance.transaction_reading import ReadingTests
from isthmus.testing.conformance.transaction_sql import SqlTests
from isthmus.testing.conformance.transaction_undoing import UndoingTests
from isthmus.testing.conformance.wiring import Conformance, Opening

__all__ = [
    "Conformance",
    "EngineConformance",
    "LogConformance",
    "Opening",
    "QueueConformance",
    "StoreConformance",
    "TransactionConformance",
]


class QueueConformance(SendingTests, ReceivingTests, SettlingTests, OrderingTests, KeepingTests):
    """`isthmus.contracts.queue`, sentence by sentence."""


class LogConformance(RecordTests, VersionTests, GroupTests, MemberTests, LogKeepingTests):
    """`isthmus.contracts.log`, sentence by sentence."""


class StoreConformance(EntryTests):
    """The entries of `isthmus.contracts.store`, sentence by sentence."""


class TransactionConformance(
    EndingTests, CallTests, UndoingTests, ReadingTests, CrowdTests, SqlTests
):
    """What `isthmus.contracts.store` says of transactions, and of all that joins one."""


class EngineConformance(EngineTests):
    """`isthmus.contracts.engine`: its end, and its manners on the loop."""
