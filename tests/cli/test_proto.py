"""What `isthmus proto` promises: numbers that stay, files that buf and protoc accept."""

import asyncio
import importlib
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from isthmus.errors import ConfigError

APP = """
    import enum
    from collections.abc import AsyncIterator
    from datetime import datetime

    import msgspec
    from isthmus import App, Service
    from isthmus.services.rpc import idempotent

    app = App("shop", engine="memory://")

    class Color(enum.Enum):
        RED = "red"
        BLUE = "blue"

    class Card(msgspec.Struct):
        number: str

    class Cash(msgspec.Struct):
        amount: int

    class ReserveRequest(msgspec.Struct):
        '''What is to be reserved.'''

        sku: str
        quantity: int
        color: Color
        pay: Card | Cash
        at: datetime | None = None
        tags: dict[str, Card] = {}

    class ReserveResponse(msgspec.Struct):
        left: int

    class WatchRequest(msgspec.Struct):
        skus: list[str]

    class WatchResponse(msgspec.Struct):
        sku: str

    class Inventory(Service, name="shop.v1.InventoryService"):
        '''What is in stock.'''

        @idempotent
        async def reserve(self, request: ReserveRequest) -> ReserveResponse:
            '''Reserve some.'''
            return ReserveResponse(request.quantity)

        async def watch(self, request: WatchRequest) -> AsyncIterator[WatchResponse]:
            for sku in request.skus:
                yield WatchResponse(sku)

        async def ping(self) -> None: ...

    app.serve(Inventory())
"""
LOOSE = """
    from collections.abc import AsyncIterator
    import msgspec
    from isthmus import App, Service

    app = App("loose", engine="memory://")

    class Word(msgspec.Struct):
        someText: str

    class Reserve(msgspec.Struct):
        word: Word

    class Talk(Service, name="Shop.Talk"):
        async def talk(self, words: AsyncIterator[Word]) -> AsyncIterator[Word]:
            async for word in words:
                yield word

        async def reserve(self, request: Reserve) -> Word:
            return request.word

    app.serve(Talk())
"""


@pytest.fixture
def buf(require: Any) -> str:
    found = shutil.which("buf", path=f"{Path(sys.executable).parent}:{sys.path[0]}")
    require(found is not None, "pip install buf-bin")
    assert found is not None
    return found


def run(*command: str, cwd: Path) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=50, check=False)
    return "" if done.returncode == 0 else done.stdout + done.stderr or "failed"


def written(project: Any, module: str = "shop") -> Path:
    result = project("proto", f"{module}:app", "--out", "protos")
    assert result.exit_code == 0, result.output
    return project.folder / "protos"


def change(project: Any, old: str, new: str) -> None:
    """Change the app, and forget what was imported of it."""
    path = project.folder / "shop.py"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    sys.modules.pop("shop", None)
    importlib.invalidate_caches()


@pytest.fixture(autouse=True)
def no_bytecode(monkeypatch: pytest.MonkeyPatch) -> None:
    """A change within a second of the last would not be seen."""
    monkeypatch.setattr(sys, "dont_write_bytecode", True)


def test_it_shows_the_proto_and_keeps_the_numbers(empty: Any) -> None:
    empty.write("shop.py", APP)
    result = empty("proto", "shop:app")
    assert result.exit_code == 0, result.output
    assert "// What is in stock.\nservice InventoryService {\n  // Reserve some." in result.stdout
    assert "// What is to be reserved.\nmessage ReserveRequest {" in result.stdout
    assert "shop.v1.ReserveRequest.sku = 1, new" in result.stderr
    assert 'sku = { number = 1, type = "string" }' in (empty.folder / "proto.lock").read_text()
    again = empty("proto", "shop:app")
    assert again.stderr == ""


def test_buf_accepts_what_is_named_as_it_wants(empty: Any, buf: str) -> None:
    empty.write("shop.py", APP)
    protos = written(empty)
    (protos / "buf.yaml").unlink()  # its default rules, whatever is configured
    assert run(buf, "lint", cwd=protos) == ""
    assert "buf:lint:ignore" not in (protos / "shop/v1/shop.proto").read_text()


def test_buf_accepts_other_names_where_the_file_says_that_they_are_meant(
    empty: Any, buf: str
) -> None:
    empty.write("loose.py", LOOSE)
    protos = written(empty, "loose")
    assert run(buf, "lint", cwd=protos) == ""
    (protos / "buf.yaml").unlink()
    assert "should be suffixed" in run(buf, "lint", cwd=protos)


def test_buf_finds_nothing_breaking_in_what_may_change(empty: Any, buf: str) -> None:
    empty.write("shop.py", APP)
    protos = written(empty)
    shutil.copytree(protos, empty.folder / "before")
    change(empty, "sku: str\n    quantity: int\n", "quantity: int\n    sku: str\n    more: str\n")
    change(empty, 'RED = "red"\n    BLUE', 'GREEN = "green"\n    RED = "red"\n    BLUE')
    change(empty, "pay: Card | Cash", "pay: Cash | Card | int")
    change(empty, "async def ping", "async def later(self) -> None: ...\n\n    async def ping")
    written(empty)
    text = (protos / "shop/v1/shop.proto").read_text()
    assert "string sku = 1;\n  int64 quantity = 2;" in text
    assert run(buf, "lint", cwd=protos) == ""
    assert run(buf, "breaking", "--against", "../before", cwd=protos) == ""
    change(empty, "    quantity: int\n", "")
    change(empty, "ReserveResponse(request.quantity)", "ReserveResponse(1)")
    written(empty)
    wire = "version: v2\nbreaking:\n  use: [WIRE_JSON]\n"
    (protos / "buf.yaml").write_text(wire)
    assert run(buf, "breaking", "--against", "../before", cwd=protos) == ""  # reserved
    assert 'reserved 2;\n  reserved "quantity";' in (protos / "shop/v1/shop.proto").read_text()


def test_buf_and_the_lock_agree_on_what_breaks(empty: Any, buf: str) -> None:
    empty.write("shop.py", APP)
    protos = written(empty)
    shutil.copytree(protos, empty.folder / "before")
    change(empty, "sku: str\n    quantity: int\n", "sku: int\n    quantity: int\n")
    result = empty("proto", "shop:app", "--out", "protos")
    assert result.exit_code == 1
    assert "number 1 is string, and would be int64" in result.stderr
    (empty.folder / "proto.lock").unlink()
    written(empty)
    assert "changed type" in run(buf, "breaking", "--against", "../before", cwd=protos)


def test_check_changes_nothing_and_fails_where_something_would(empty: Any) -> None:
    empty.write("shop.py", APP)
    result = empty("proto", "shop:app", "--out", "protos", "--check")
    assert result.exit_code == 1
    assert "out of date" in result.stderr
    assert not (empty.folder / "proto.lock").exists()
    assert not (empty.folder / "protos").exists()
    written(empty)
    assert empty("proto", "shop:app", "--out", "protos", "--check").exit_code == 0
    change(empty, "quantity: int\n", "quantity: int\n    more: str\n")
    result = empty("proto", "shop:app", "--out", "protos", "--check")
    assert result.exit_code == 1
    assert "ReserveRequest.more = 7, new" not in (empty.folder / "proto.lock").read_text()


def test_protoc_compiles_it(empty: Any, require: Any) -> None:
    pytest.importorskip("grpc_tools")
    empty.write("shop.py", APP)
    empty.write("loose.py", LOOSE)
    protos = written(empty)
    written(empty, "loose")
    files = [str(each.relative_to(protos)) for each in protos.rglob("*.proto")]
    assert len(files) == 2
    out = empty.folder / "generated"
    out.mkdir()
    protoc = (sys.executable, "-m", "grpc_tools.protoc", "-I.", f"--python_out={out}")
    assert run(*protoc, *files, cwd=protos) == ""


# --- who reads the lock -----------------------------------------------------------------------


def opened(project: Any) -> None:
    app = importlib.import_module("shop").app

    async def main() -> None:
        async with app:
            pass

    sys.path.insert(0, str(project.folder))
    asyncio.run(main())


def test_a_server_refuses_what_its_lock_does_not_know_yet(empty: Any) -> None:
    empty.write("shop.py", APP)
    empty("proto", "shop:app")
    opened(empty)
    change(empty, "quantity: int\n", "quantity: int\n    more: str\n")
    with pytest.raises(ConfigError, match=r"(?s)does not know yet; run `isthmus proto.*more = 8"):
        opened(empty)
    empty("proto", "shop:app")
    opened(empty)


def test_a_reorder_changes_no_byte_once_there_is_a_lock(empty: Any) -> None:
    empty.write("shop.py", APP)
    empty("proto", "shop:app")

    def body() -> bytes:
        from isthmus.services.rpc.contract.contract import contract_of

        shop = importlib.import_module("shop")
        request = shop.ReserveRequest(
            sku="a", quantity=1, color=shop.Color.BLUE, pay=shop.Cash(7), tags={"x": shop.Card("1")}
        )
        return contract_of(shop.Inventory).methods[0].request.encode(request)

    before = body()
    change(empty, "sku: str\n    quantity: int\n", "quantity: int\n    sku: str\n")
    change(empty, 'RED = "red"\n    BLUE = "blue"', 'BLUE = "blue"\n    RED = "red"')
    change(empty, "pay: Card | Cash", "pay: Cash | Card")
    assert body() == before


def test_a_class_may_name_its_lock(empty: Any) -> None:
    empty.write("shop.py", APP.replace('InventoryService"', 'InventoryService", lock="own.lock"'))
    assert empty("proto", "shop:app").exit_code == 0
    assert (empty.folder / "own.lock").is_file()
    opened(empty)
    (empty.folder / "own.lock").unlink()
    sys.modules.pop("shop")
    with pytest.raises(ConfigError, match="`isthmus proto MODULE:APP` writes it"):
        opened(empty)


def test_a_lock_where_nobody_looks_is_told(empty: Any) -> None:
    empty.write("shop.py", APP)
    result = empty("proto", "shop:app", "--lock", "elsewhere/x.lock")
    assert "will not find" in result.stderr
    assert (empty.folder / "elsewhere/x.lock").is_file()


def test_the_lock_of_a_package_lies_in_it(empty: Any) -> None:
    empty.write("store/__init__.py", "")
    empty.write("store/services/__init__.py", "")
    empty.write("store/services/inventory.py", APP)
    assert empty("proto", "store.services.inventory:app").exit_code == 0
    assert (empty.folder / "store/proto.lock").is_file()


def test_an_app_without_a_service_is_told_how_to_declare_one(project: Any) -> None:
    result = project("proto")
    assert result.exit_code == 1
    assert "app.serve(...) declares one" in result.stderr
