"""Flows are tested on memory, some on a file, or all on a server, on virtual time."""

import pytest
from tests.flows.fulfilment import Shop
from tests.stores import Stores


@pytest.fixture
def engine(memory_stores: Stores) -> str:
    return memory_stores.alone("shop")


@pytest.fixture
def shop() -> Shop:
    shop = Shop()
    shop.declare()
    return shop
