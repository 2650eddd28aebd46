"""`__all__` and what a module defines say the same, in every module."""

import importlib
import inspect
import pkgutil
from collections import Counter
from importlib.metadata import version
from types import ModuleType

import pytest

import isthmus

NAMES = ["isthmus", *(one.name for one in pkgutil.walk_packages(isthmus.__path__, "isthmus."))]


@pytest.fixture(scope="module")
def modules() -> list[ModuleType]:
    return [importlib.import_module(name) for name in NAMES]


def exported(module: ModuleType) -> list[str]:
    return getattr(module, "__all__", [])


def written(module: ModuleType) -> set[str]:
    """Names of the public classes and functions whose home is this file."""
    return {
        name
        for name, thing in vars(module).items()
        if (inspect.isclass(thing) or inspect.isfunction(thing))
        and thing.__module__ == module.__name__
        and not name.startswith("_")
    }


def test_every_exported_name_exists(modules: list[ModuleType]) -> None:
    missing = [(m.__name__, name) for m in modules for name in exported(m) if not hasattr(m, name)]
    assert missing == []


def test_every_definition_of_a_top_level_file_is_exported(modules: list[ModuleType]) -> None:
    """Deeper down, a room may have names that are nobody else's business."""
    tops = [module for module in modules if module.__name__.count(".") == 1]
    forgotten = {top.__name__: written(top) - set(exported(top)) for top in tops}
    assert {name: names for name, names in forgotten.items() if names} == {}


def test_nothing_is_exported_twice(modules: list[ModuleType]) -> None:
    twice = [
        (m.__name__, name) for m in modules for name, n in Counter(exported(m)).items() if n > 1
    ]
    assert twice == []


def test_the_package_tells_the_version_it_was_built_with() -> None:
    assert isthmus.__version__ == version("isthmus")
