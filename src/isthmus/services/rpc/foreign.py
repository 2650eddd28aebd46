"""A service of somebody else's .proto, as a class."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from google.protobuf import message_factory

from isthmus.errors import ConfigError
from isthmus.services.rpc.contract.compiling import compiled
from isthmus.services.rpc.service import Service
from isthmus.services.rpc.wire.shapes import snake

__all__ = ["from_proto"]


def from_proto(path: str | Path, *, name: str) -> Any:
    """Return the service `name` of a .proto, or of a compiled descriptor set, as a class derived
    from Service: a method for each rpc, in small letters, that takes and gives Protobuf's own
    messages; and `messages`, the classes of all in the file, by name. `path` is as seen from
    the working directory.

        Orders = from_proto("orders.proto", name="shop.v1.OrderService")
        PlaceRequest = Orders.messages["PlaceRequest"]

    Derive from it to implement it, or give it to a stub.

    Raises:
        ConfigError: It cannot be compiled, or has no service `name`.
    """
    path = Path(path).absolute()
    pool = compiled(path)
    try:
        service = pool.FindServiceByName(name)
    except KeyError:
        raise ConfigError(f"{path} has no service {name}") from None
    members: dict[str, Any] = {"messages": _messages(service.file)}
    for method in service.methods:
        attribute = snake(method.name)
        members[attribute] = _function(attribute, method)
    members["__module__"] = __name__
    made: Any = type(Service)
    return made(service.name, (Service,), members, name=name, proto=path)


def _messages(file: Any) -> dict[str, Any]:
    found = dict[str, Any]()
    for name, descriptor in file.message_types_by_name.items():
        found[name] = message_factory.GetMessageClass(descriptor)
    return found


def _function(attribute: str, method: Any) -> Any:
    takes = message_factory.GetMessageClass(method.input_type)
    gives = message_factory.GetMessageClass(method.output_type)

    async def unary(self: Any, request: Any) -> Any:
        raise NotImplementedError

    def streaming(self: Any, request: Any) -> Any:
        raise NotImplementedError

    function: Any = streaming if method.server_streaming else unary
    function.__name__ = attribute
    function.__qualname__ = f"{method.containing_service.name}.{attribute}"
    function.__annotations__ = {
        "request": AsyncIterator[takes] if method.client_streaming else takes,
        "return": AsyncIterator[gives] if method.server_streaming else gives,
    }
    return function
