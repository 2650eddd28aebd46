"""SQLite answers random calls as memory does."""

import atexit
from itertools import count
from shutil import rmtree
from tempfile import mkdtemp

import pytest

from isthmus.clock import ManualClock
from isthmus.connect import connect
from isthmus.contracts import Engine
from isthmus.testing import log_model, queue_model, store_model

FOLDER = mkdtemp()
atexit.register(rmtree, FOLDER, ignore_errors=True)
numbers = count()

pytestmark = pytest.mark.timeout(400)  # a failure takes minutes to shrink, and is worth them


async def open_empty(clock: ManualClock) -> Engine:
    return await connect(f"sqlite:///{FOLDER}/{next(numbers)}.db?durability=normal", clock=clock)


TestQueueModel = queue_model(open_empty)
TestLogModel = log_model(open_empty)
TestStoreModel = store_model(open_empty)
