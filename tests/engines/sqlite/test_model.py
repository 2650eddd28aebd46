"""SQLite answers random calls as memory does."""

from pathlib import Path
from tempfile import mkdtemp

from isthmus.clock import ManualClock
from isthmus.connect import connect
from isthmus.contracts import Engine
from isthmus.testing import log_model, queue_model, store_model


async def open_empty(clock: ManualClock) -> Engine:
    return await connect(f"sqlite:///{mkdtemp()}/shop.db?durability=normal", clock=clock)


TestQueueModel = queue_model(open_empty)
TestLogModel = log_model(open_empty)
TestStoreModel = store_model(open_empty)
