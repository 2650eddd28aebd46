"""PostgreSQL answers random calls as memory does."""

from collections.abc import Callable
from typing import Any
from unittest import TestCase

import asyncpg
import pytest

from isthmus.clock import ManualClock
from isthmus.connect import connect
from isthmus.contracts import Engine
from isthmus.testing import log_model, queue_model, store_model

pytestmark = pytest.mark.timeout(600)  # a failure takes minutes to shrink, and is worth them

EMPTY = """
SELECT string_agg(format('TRUNCATE isthmus.%I RESTART IDENTITY', tablename), ';')
FROM pg_tables WHERE schemaname = 'isthmus' AND tablename NOT IN ('migration', 'identity')
"""

Model = Callable[..., type[TestCase]]


class Emptied:
    """Opens one database again and again, with nothing in it."""

    def __init__(self, url: str) -> None:
        self._url = url

    async def __call__(self, clock: ManualClock) -> Engine:
        connection = await asyncpg.connect(self._url)
        await connection.execute(await connection.fetchval(EMPTY))
        await connection.close()
        return await connect(self._url, clock=clock)


@pytest.mark.parametrize("model", [queue_model, log_model, store_model])
def test_it_answers_as_memory_does(model: Model, server: Any) -> None:
    name = server.create()
    case: Any = model(Emptied(server.url(name)), runs=30)
    case("runTest").runTest()
    server.drop(name)
