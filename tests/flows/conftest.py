import pytest
from tests.flows.fulfilment import Shop


@pytest.fixture
def shop() -> Shop:
    shop = Shop()
    shop.declare()
    return shop
