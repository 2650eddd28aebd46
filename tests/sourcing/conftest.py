"""Events are tested on memory and on a file, or on a server."""

import pytest
from tests.stores import Stores


@pytest.fixture
def url(stores: Stores) -> str:
    return stores("bank")


@pytest.fixture
def engine(sql_stores: Stores) -> str:
    """For read models with rows."""
    return sql_stores("bank")
