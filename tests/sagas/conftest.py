"""Sagas are tested on memory and on a file, both on virtual time."""

from pathlib import Path

import pytest


@pytest.fixture(params=["memory", "sqlite"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "memory":
        return "memory://"
    return f"sqlite:///{tmp_path}/saga.db?durability=normal"
