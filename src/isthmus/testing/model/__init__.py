"""The same random calls on an engine and on memory, answer by answer.

async def open_empty(clock: ManualClock) -> Engine:
return await connect(f"sqlite:///{mkdtemp()}/shop.db", clock=clock)

TestQueueModel = queue_model(open_empty)
"""

from isthmus.testing.model.log import log_model
from isthmus.testing.model.queue import queue_model
from isthmus.testing.model.store import store_model
from isthmus.testing.model.twins import OpenEmpty

__all__ = ["OpenEmpty", "log_model", "queue_model", "store_model"]
