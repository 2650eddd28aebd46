"""The .proto that others call by: accepted by buf, and its numbers are never given twice."""

import subprocess
import sys
from pathlib import Path

import pytest

from isthmus import Service

BUF = Path(sys.executable).with_name("buf")

FIRST = """
import msgspec
from collections.abc import AsyncIterator
from isthmus import App, Service

class LookRequest(msgspec.Struct):
    sku: str
    count: int = 1

class LookResponse(msgspec.Struct):
    left: int
    notes: list[str] = []

class WatchRequest(msgspec.Struct):
    sku: str

class WatchResponse(msgspec.Struct):
    left: int

class Inventory(Service, name="shop.v1.InventoryService"):
    async def look(self, request: LookRequest) -> LookResponse:
        return LookResponse(request.count)
    async def watch(self, request: WatchRequest) -> AsyncIterator[WatchResponse]:
        yield WatchResponse(1)

app = App("shop", engine="memory://")
app.serve(Inventory())
"""

REORDERED = FIRST.replace(
    "    sku: str\n    count: int = 1", "    count: int = 1\n    sku: str = ''"
)
GROWN = FIRST.replace("    count: int = 1", "    note: str = ''")
CHANGED = FIRST.replace("    count: int = 1", "    count: str = ''")


def proto(folder: Path, source: str, *words: str) -> subprocess.CompletedProcess[str]:
    (folder / "shop.py").write_text(source)
    command = [Path(sys.executable).with_name("isthmus"), "proto", "shop:app", *words]
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=50, check=False
    )


def buf(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [BUF, *words], cwd=folder, capture_output=True, text=True, timeout=50, check=False
    )


def test_buf_accepts_it_and_what_becomes_of_it(tmp_path: Path) -> None:
    made = proto(tmp_path, FIRST, "--out", "protos")
    assert made.returncode == 0, made.stderr
    linted = buf(tmp_path / "protos", "lint")
    assert (linted.returncode, linted.stdout) == (0, "")
    (tmp_path / "protos").rename(tmp_path / "before")
    assert proto(tmp_path, GROWN, "--out", "protos").returncode == 0
    text = "".join(each.read_text() for each in (tmp_path / "protos").rglob("*.proto"))
    assert "reserved 2" in text
    assert "note = 3" in text
    broken = buf(
        tmp_path / "protos",
        "breaking",
        "--against",
        "../before",
        "--config",
        '{"version":"v2","breaking":{"use":["WIRE"]}}',
    )
    assert (broken.returncode, broken.stdout) == (0, "")


def test_an_order_of_fields_is_nothing_to_the_wire(tmp_path: Path) -> None:
    proto(tmp_path, FIRST, "--out", "protos")
    before = [each.read_text() for each in (tmp_path / "protos").rglob("*.proto")]
    assert proto(tmp_path, REORDERED, "--out", "protos").returncode == 0
    after = [each.read_text() for each in (tmp_path / "protos").rglob("*.proto")]
    for text in (*before, *after):
        assert "sku = 1" in text
        assert "count = 2" in text


def test_another_type_under_the_same_number_is_refused(tmp_path: Path) -> None:
    assert proto(tmp_path, FIRST).returncode == 0
    refused = proto(tmp_path, CHANGED)
    assert refused.returncode == 1
    assert "count" in refused.stderr


def test_what_would_change_is_found_in_ci(tmp_path: Path) -> None:
    proto(tmp_path, FIRST, "--out", "protos")
    assert proto(tmp_path, FIRST, "--out", "protos", "--check").returncode == 0
    assert proto(tmp_path, GROWN, "--out", "protos", "--check").returncode == 1


def test_a_service_without_a_name_is_refused() -> None:
    with pytest.raises(Exception, match="it has no name"):

        class Nameless(Service): ...
