"""The other way: a .proto that somebody else wrote is served, and called."""

import enum
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any

import grpc.aio
import msgspec
import pytest
from google.protobuf import descriptor_pb2
from google.protobuf.message import Message

from isthmus import App
from isthmus.errors import ConfigError
from isthmus.handling.declarations import Declarations
from isthmus.services.rpc import Code, RpcError, RpcRefusedError, Service, Stub, from_proto
from isthmus.services.rpc.contract import compiling
from isthmus.services.rpc.contract.contract import contract_of
from isthmus.services.rpc.doors import serve as serve_service

Hold = Any

ORDERS = """
syntax = "proto3";
package shop.v1;
import "google/protobuf/timestamp.proto";
import "shop/v1/parts.proto";

message PlaceRequest {
  int32 quantity = 7;
  string sku = 3;
  optional string note = 12;
  Color color = 4;
  google.protobuf.Timestamp at = 5;
  repeated Part parts = 6;
  map<string, uint64> counts = 8;
  oneof pay { Card pay_card = 9; string voucher = 10; }
  float unknown_to_us = 20;
}
message Card { string number = 1; }
message PlaceResponse { fixed64 id = 2; string sku = 9; }
enum Color { COLOR_UNSPECIFIED = 0; COLOR_RED = 5; BLUE = 6; }
service OrderService {
  rpc Place(PlaceRequest) returns (PlaceResponse);
  rpc PlaceAll(stream PlaceRequest) returns (stream PlaceResponse);
  rpc Other(Card) returns (Card);
}
"""
PARTS = 'syntax = "proto3";\npackage shop.v1;\nmessage Part { sint32 weight = 2; }\n'


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Card(msgspec.Struct):
    number: str


class Part(msgspec.Struct):
    weight: int


class Place(msgspec.Struct):
    sku: str
    quantity: int
    color: Color
    at: datetime
    pay: Card | str
    note: str | None = None
    parts: list[Part] = []
    counts: dict[str, int] = {}


class Placed(msgspec.Struct):
    id: int
    sku: str


@pytest.fixture
def proto(tmp_path: Path) -> Path:
    pytest.importorskip("grpc_tools")
    folder = tmp_path / "shop/v1"
    folder.mkdir(parents=True)
    (folder / "parts.proto").write_text(PARTS)
    (folder / "orders.proto").write_text(ORDERS)
    return folder / "orders.proto"


def orders_of(proto: Path) -> type[Any]:
    class Orders(Service, name="shop.v1.OrderService", proto=proto):
        async def place(self, request: Place) -> Placed:
            assert request == order(request.sku)
            return Placed(7, request.sku)

        async def place_all(self, requests: AsyncIterator[Place]) -> AsyncIterator[Placed]:
            async for request in requests:
                yield Placed(request.quantity, request.sku)

    return Orders


def order(sku: str) -> Place:
    at = datetime(2026, 1, 2, tzinfo=UTC)
    return Place(sku, 2, Color.BLUE, at, Card("4"), "n", [Part(-3)], {"a": 1})


async def test_models_are_matched_by_the_names_of_their_fields(
    declared: Declarations, hold: Hold, proto: Path
) -> None:
    orders = orders_of(proto)
    serve_service(declared, orders())
    async with hold(declared) as s, Stub(orders, s.address) as calls:
        assert await calls.place(order("a")) == Placed(7, "a")

        async def several() -> AsyncIterator[Place]:
            for sku in "abc":
                yield order(sku)

        assert [each.sku async for each in calls.place_all(several())] == ["a", "b", "c"]


async def test_numbers_are_those_of_the_file(
    declared: Declarations, hold: Hold, proto: Path, tmp_path: Path
) -> None:
    """A client made by protoc from the same file is understood."""
    messages = generated(proto, tmp_path)
    request = messages.PlaceRequest(sku="a", quantity=2, note="n", color=6, unknown_to_us=1.5)
    request.at.FromDatetime(datetime(2026, 1, 2, tzinfo=UTC))
    request.pay_card.number = "4"
    request.parts.add(weight=-3)
    request.counts["a"] = 1
    serve_service(declared, orders_of(proto)())
    async with hold(declared) as s, grpc.aio.insecure_channel(s.address) as channel:
        call = channel.unary_unary(
            "/shop.v1.OrderService/Place",
            request_serializer=messages.PlaceRequest.SerializeToString,
            response_deserializer=messages.PlaceResponse.FromString,
        )
        assert (await call(request)).id == 7
        other = channel.unary_unary("/shop.v1.OrderService/Other")
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await other(b"")
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


def generated(proto: Path, root: Path) -> Any:
    out = root / "generated"
    out.mkdir()
    files = [str(each.relative_to(root)) for each in proto.parent.glob("*.proto")]
    protoc = [sys.executable, "-m", "grpc_tools.protoc", "-I.", f"--python_out={out}"]
    subprocess.run([*protoc, *files], cwd=root, check=True, timeout=50)
    for package in ("shop", "shop/v1"):  # else a module `shop` anywhere on the path comes first
        (out / package / "__init__.py").touch()
    forgotten()
    sys.path.insert(0, str(out))
    try:
        return import_module("shop.v1.orders_pb2")
    finally:
        sys.path.remove(str(out))
        forgotten()


def forgotten() -> None:
    for name in [name for name in sys.modules if name == "shop" or name.startswith("shop.")]:
        del sys.modules[name]


async def test_protobufs_own_messages_may_be_taken_and_given(
    declared: Declarations, hold: Hold, proto: Path
) -> None:
    base: Any = from_proto(proto, name="shop.v1.OrderService")
    request, response = base.messages["PlaceRequest"], base.messages["PlaceResponse"]

    class Orders(base):
        async def place(self, request: Any) -> Any:
            return response(id=request.quantity, sku=request.sku)

    serve_service(declared, Orders())
    async with hold(declared) as s, Stub(base, s.address) as stub:
        calls: Any = stub
        answer = await calls.place(request(sku="a", quantity=3))
        assert (answer.id, answer.sku) == (3, "a")
        with pytest.raises(RpcError) as caught:
            await calls.other(base.messages["Card"]())
        assert caught.value.code() is Code.UNIMPLEMENTED


async def test_any_message_may_be_taken_as_what_it_is(
    declared: Declarations, hold: Hold, proto: Path
) -> None:
    class Echo(Service, name="shop.v1.OrderService", proto=proto):
        async def other(self, request: Message) -> Message:
            assert request.DESCRIPTOR.full_name == "shop.v1.Card"
            return request

    serve_service(declared, Echo())
    async with hold(declared) as s, grpc.aio.insecure_channel(s.address) as channel:
        call = channel.unary_unary("/shop.v1.OrderService/Other")
        assert await call(b"\x0a\x01a") == b"\x0a\x01a"
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call(b"\xff")
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_what_does_not_fit_a_request_is_told(
    declared: Declarations, hold: Hold, proto: Path
) -> None:
    serve_service(declared, orders_of(proto)())
    base: Any = from_proto(proto, name="shop.v1.OrderService")
    async with hold(declared) as s, Stub(base, s.address) as stub:
        calls: Any = stub
        with pytest.raises(RpcRefusedError) as caught:
            await calls.place(base.messages["PlaceRequest"](color=99))
    assert caught.value.problems == ("color: 99 is no Color", "at: missing", "pay: missing")


def test_every_misfit_is_told_when_it_starts(proto: Path) -> None:
    class Wrong(msgspec.Struct):
        sku: int
        quantitty: int
        color: str
        at: str
        parts: Part
        counts: list[int]
        pay: Card | int
        note: list[str]

    class Orders(Service, name="shop.v1.OrderService", proto=proto):
        async def place(self, request: Wrong) -> Placed: ...
        async def place_all(self, request: Place) -> Placed: ...
        async def plaice(self, request: Place) -> Placed: ...

    with pytest.raises(ConfigError) as caught:
        contract_of(Orders)
    said = str(caught.value)
    for fault in (
        "Wrong.sku: a int, where the message has string",
        "Wrong.quantitty: shop.v1.PlaceRequest has no such field; it has: quantity, sku",
        "Wrong.color: a str, where the message has shop.v1.Color",
        "Wrong.at: a str, where the message has google.protobuf.Timestamp",
        "Wrong.parts: a Part, where the message has repeated shop.v1.Part",
        "Wrong.counts: a list, where the message has repeated shop.v1.PlaceRequest.CountsEntry",
        "Wrong.pay: no member of the oneof fits int: pay_card, voucher",
        "Wrong.note: a list, where the message has string",
        "place_all() is unary, and rpc PlaceAll is bidirectional",
        "plaice(): no rpc Plaice; there are: Place, PlaceAll, Other",
    ):
        assert fault in said, fault


@pytest.mark.parametrize("tool", ["protoc", "buf"])
async def test_a_compiled_descriptor_set_does_too(
    declared: Declarations, hold: Hold, proto: Path, tmp_path: Path, tool: str, require: Any
) -> None:
    out = tmp_path / "orders.binpb"
    here = f"{Path(sys.executable).parent}"
    if tool == "buf":
        found = shutil.which("buf", path=here)
        require(found is not None, "pip install buf-bin")
        command = [str(found), "build", "-o", str(out)]
    else:
        command = [sys.executable, "-m", "grpc_tools.protoc", "-I.", "--include_imports"]
        command += [f"--descriptor_set_out={out}", "shop/v1/orders.proto"]
    subprocess.run(command, cwd=tmp_path, check=True, timeout=50)
    orders = orders_of(out)
    serve_service(declared, orders())
    async with hold(declared) as s, Stub(orders, s.address) as calls:
        assert await calls.place(order("a")) == Placed(7, "a")


def test_without_protoc_buf_compiles_it(
    proto: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, require: Any
) -> None:
    here = str(Path(sys.executable).parent)
    require(shutil.which("buf", path=here) is not None, "pip install buf-bin")
    monkeypatch.setattr(compiling.importlib.util, "find_spec", lambda _: None)
    monkeypatch.setenv("PATH", here)
    assert compiling.compiled(proto).FindServiceByName("shop.v1.OrderService")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigError, match="pip install grpcio-tools"):
        compiling.compiled(proto)


def test_what_cannot_be_compiled_is_refused_with_the_reason(proto: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no such file"):
        from_proto(tmp_path / "none.proto", name="shop.v1.OrderService")
    with pytest.raises(ConfigError, match=r"has no service shop\.v1\.Orders"):
        from_proto(proto, name="shop.v1.Orders")
    proto.write_text("message {")
    with pytest.raises(ConfigError, match=r"(?s)does not compile.*orders\.proto:1"):
        from_proto(proto, name="shop.v1.OrderService")
    bad = tmp_path / "bad.binpb"
    bad.write_bytes(b"\xff")
    with pytest.raises(ConfigError, match="no descriptor set"):
        from_proto(bad, name="shop.v1.OrderService")
    lone = descriptor_pb2.FileDescriptorSet()
    lone.file.add(name="a.proto", dependency=["b.proto"], syntax="proto3")
    bad.write_bytes(lone.SerializeToString())
    with pytest.raises(ConfigError, match="with all its imports"):
        from_proto(bad, name="shop.v1.OrderService")


def test_a_class_of_another_message_is_refused(proto: Path) -> None:
    base: Any = from_proto(proto, name="shop.v1.OrderService")
    card, place = base.messages["Card"], base.messages["PlaceRequest"]

    async def other(self: Any, request: Any) -> Any: ...

    other.__annotations__ = {"request": place, "return": card}
    made: Any = type(Service)
    wrong = made("Wrong", (Service,), {"other": other}, name="shop.v1.OrderService", proto=proto)
    with pytest.raises(
        ConfigError, match=r"takes a PlaceRequest, where the rpc has shop\.v1\.Card"
    ):
        contract_of(wrong)


def test_an_app_tells_its_methods(proto: Path) -> None:
    from isthmus.services.rpc import DeclaredService

    app = App("shop", engine="memory://")
    app.serve(orders_of(proto)())
    [record] = app.describe().of(DeclaredService)
    assert record.methods == ("Place", "PlaceAll")
