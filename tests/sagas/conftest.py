"""Sagas are tested on memory and on a file, or on a server, all on virtual time."""

import pytest
from tests.stores import Stores


@pytest.fixture
def engine(stores: Stores) -> str:
    return stores.alone("saga")


@pytest.fixture
def sql_engine(sql_stores: Stores) -> str:
    """For steps with rows."""
    return sql_stores("saga")
