from importlib import import_module
from types import ModuleType

import pytest

from isthmus import resilience


@pytest.mark.parametrize("name", resilience.__all__)
def test_a_name_of_the_room_is_what_its_file_defines(name: str):
    home = import_module(f"isthmus.resilience.{resilience._HOME[name]}")
    found = getattr(resilience, name)
    assert found is getattr(home, name)
    assert not isinstance(found, ModuleType)  # a file and what it defines never share a name
