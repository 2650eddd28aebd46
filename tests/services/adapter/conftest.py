from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with nothing in it, in which settings are read, and no secrets of the machine."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ISTHMUS_SECRETS", str(tmp_path / "secrets"))
    return tmp_path
