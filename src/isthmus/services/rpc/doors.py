"""Declaring services and stubs: what stands behind `app.serve` and `app.stub`."""

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any, TypeVar, Unpack

from isthmus.errors import ConfigError
from isthmus.handling.declarations import Declarations
from isthmus.handling.host import Host
from isthmus.services.rpc.declared import DeclaredService
from isthmus.services.rpc.needed import require_grpc
from isthmus.services.rpc.service import Service, interface_of

if TYPE_CHECKING:
    from isthmus.services.rpc.calling.stub import StubWords

__all__ = ["serve", "stub"]

S = TypeVar("S")


def serve(declared: Declarations, service: Service) -> None:
    """Have `service` answer calls of what it implements. The lock is looked at when the App
    opens, so that `isthmus proto` can write it.

    Raises:
        ConfigError: A type cannot be carried, a parameter not be given, a method is not
            implemented, or the name is taken.
    """
    require_grpc()
    from isthmus.services.rpc.contract.contract import contract_of
    from isthmus.services.rpc.serving.endpoint import Endpoint
    from isthmus.services.rpc.serving.server import RpcServer
    from isthmus.services.rpc.serving.site import Site

    if isinstance(service, type):
        raise ConfigError(
            f"app.serve({service.__name__}): it is a class; write {service.__name__}()"
        )
    record = _record(service)

    async def opening(host: Host) -> None:
        contract = contract_of(service)
        endpoints = [Endpoint(service, wired, declared) for wired in contract.methods]
        for endpoint in endpoints:
            endpoint.bind(host)
        declared.shared(Site).add(contract, endpoints)

    declared.declare(record)
    declared.open_with(opening)
    declared.work(RpcServer(declared))


def stub(
    declared: Declarations, service: type[S], address: str, **options: "Unpack[StubWords]"
) -> S:
    """Return the calls of a stub that is open while the App is.

    Raises:
        ConfigError: It is no Service, the name is taken, or an option cannot be used.
    """
    require_grpc()
    from isthmus.services.rpc.calling.stub import Stub

    made = Stub(service, address, **options)

    async def opened() -> AsyncIterator[Stub[Any]]:
        await made.open()
        try:
            yield made
        finally:
            await made.aclose()

    declared.declare(made.record())
    declared.provide((Stub, made.name), opened)
    return made.calls


def _record(service: Service) -> DeclaredService:
    """Describe a service; raises ConfigError if its types cannot be carried."""
    from isthmus.services.rpc.contract.contract import draft_of

    interface, kind = interface_of(service), type(service)
    methods = interface.methods(Service)
    interface.refuse_unwritten(kind, Service)
    if interface.proto is None:
        said = [f"{each.method.name}{each.signature}" for each in draft_of(interface).methods]
    else:
        said = [each.name for each in methods]
    return DeclaredService(
        name=interface.name,
        methods=tuple(said),
        idempotent=tuple(each.name for each in methods if each.idempotent),
        interface=f"{interface.service.__module__}:{interface.service.__qualname__}",
        implementation=f"{kind.__module__}:{kind.__qualname__}",
    )
