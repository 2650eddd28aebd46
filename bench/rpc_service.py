"""The service that is measured, as isthmus has it; run as a program, it serves it, or the same
made by grpcio's own generated code, and prints the port."""

import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import grpc.aio
import msgspec
import uvloop

from isthmus import App
from isthmus.cli.process import collect_seldom
from isthmus.services.rpc import RpcListening, Service, idempotent
from isthmus.services.rpc.contract.contract import contract_of
from isthmus.services.rpc.contract.text import proto_text

__all__ = ["Item", "Orders", "PriceRequest", "PriceResponse", "generate", "order"]


class Item(msgspec.Struct):
    sku: str
    quantity: int
    price: float


class PriceRequest(msgspec.Struct):
    id: int
    customer: str
    items: list[Item]
    note: str | None = None


class PriceResponse(msgspec.Struct):
    id: int
    total: float


class Orders(Service, name="prices.v1.OrdersService"):
    @idempotent
    async def price(self, request: PriceRequest) -> PriceResponse:
        return PriceResponse(request.id, total(request))


def total(request: Any) -> float:
    return sum(item.quantity * item.price for item in request.items)


def order(request: Any, item: Any) -> Any:
    """Return what is sent, of the classes of either side."""
    items = [
        item(sku="A-1", quantity=2, price=9.99),
        item(sku="B-2", quantity=1, price=19.5),
        item(sku="C-3", quantity=5, price=1.25),
    ]
    return request(id=42, customer="Acme Corp", items=items, note="leave it at the door")


def generate(folder: Path) -> tuple[Any, Any]:
    """Return what grpcio-tools makes of the same .proto: the modules of messages and stubs."""
    [file] = contract_of(Orders).files
    out = folder / file.name
    if not out.exists():
        out.parent.mkdir(parents=True)
        out.write_text(proto_text(file, {}))
        protoc = import_module("grpc_tools.protoc")
        outs = [f"--python_out={folder}", f"--grpc_python_out={folder}"]
        assert protoc.main(["protoc", f"-I{folder}", *outs, str(out)]) == 0
    sys.path.insert(0, str(folder))
    return import_module("prices.v1.prices_pb2"), import_module("prices.v1.prices_pb2_grpc")


async def _isthmus(_: Path) -> None:
    app = App("bench", engine="memory://")
    app.configure(grpc_port=0)
    app.serve(Orders())
    app.signals.listen(RpcListening, lambda told: _tell(told.address.rpartition(":")[2]))
    await app.run()


async def _grpcio(folder: Path) -> None:
    messages, stubs = generate(folder)

    class Servicer(stubs.OrdersServiceServicer):
        async def Price(self, request: Any, _: Any) -> Any:  # noqa: N802
            return messages.PriceResponse(id=request.id, total=total(request))

    server = grpc.aio.server()
    stubs.add_OrdersServiceServicer_to_server(Servicer(), server)
    _tell(server.add_insecure_port("127.0.0.1:0"))
    await server.start()
    await server.wait_for_termination()


def _tell(port: object) -> None:
    print(port, flush=True)


if __name__ == "__main__":
    collect_seldom()
    uvloop.run({"isthmus": _isthmus, "grpcio": _grpcio}[sys.argv[1]](Path(sys.argv[2])))
