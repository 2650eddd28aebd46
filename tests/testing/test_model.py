"""The model tests: memory agrees with itself."""

import pytest

from isthmus.clock import ManualClock
from isthmus.connect import connect
from isthmus.contracts import Engine
from isthmus.testing import log_model, queue_model, store_model

pytestmark = pytest.mark.timeout(400)  # a failure takes minutes to shrink, and is worth them


async def open_empty(clock: ManualClock) -> Engine:
    return await connect("memory://", clock=clock)


TestQueueModel = queue_model(open_empty)
TestLogModel = log_model(open_empty)
TestStoreModel = store_model(open_empty)
