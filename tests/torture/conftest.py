"""The module of the ordeal, imported as its processes import it, and a folder to look into."""

import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture
def ordeal(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    monkeypatch.syspath_prepend(Path(__file__).parent)
    import ordeal  # pyright: ignore[reportMissingImports]

    yield ordeal
    del sys.modules["ordeal"]


@pytest.fixture
def folder(request: pytest.FixtureRequest) -> Iterator[Path]:
    """A folder that stays, if the test fails."""
    made = Path(tempfile.mkdtemp(prefix="isthmus-ordeal-"))
    failed = request.session.testsfailed
    yield made
    if request.session.testsfailed == failed:
        shutil.rmtree(made)
