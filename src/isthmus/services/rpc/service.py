"""A gRPC service as a class: server, client, .proto and documentation in one."""

from collections.abc import Collection
from pathlib import Path
from typing import Any, ClassVar

from isthmus.errors import ConfigError
from isthmus.services.rpc.interface import Interface

__all__ = ["Service", "interface_of"]


class Service:
    """Derive from it, with the name that the service has for others:

        class Inventory(Service, name="shop.v1.InventoryService"):
            async def reserve(self, request: ReserveRequest) -> ReserveResponse: ...
            def watch(self, request: WatchRequest) -> AsyncIterator[WatchResponse]: ...

    Methods whose names begin with _ are no part of it. A class that derives from this one
    implements it; its methods may have further parameters, which are given by annotation. Who
    calls needs the declaring class only.

    Words of the class:
        name: Package and service. Not given: it implements what its base declares.
        lock: File that keeps the field numbers, beside the class; default: the nearest
            `proto.lock` there, or above it in its package.
        proto: A .proto that somebody else wrote, or a compiled descriptor set, beside the
            class: names and numbers are those in it.
        idempotent: Methods that a stub may repeat though they perhaps ran; or mark them
            `@idempotent`.
    """

    __interface: ClassVar[Interface | None] = None

    def __init_subclass__(
        cls,
        *,
        name: str = "",
        lock: str | Path | None = None,
        proto: str | Path | None = None,
        idempotent: Collection[str] = (),
        **words: Any,
    ) -> None:
        super().__init_subclass__(**words)
        if name:
            cls.__interface = Interface(cls, name, lock, proto, tuple(idempotent))
            cls.__interface.refuse_bad_names()
        elif cls.__interface is None:
            raise ConfigError(
                f"class {cls.__qualname__}(Service): it has no name; write "
                f"class {cls.__qualname__}(Service, name='shop.v1.{cls.__name__}Service')"
            )
        elif lock is not None or proto is not None or idempotent:
            raise ConfigError(
                f"class {cls.__qualname__}: lock=, proto= and idempotent= are said where the name "
                f"is, at {cls.__interface.title}"
            )

    @classmethod
    def __rpc__(cls) -> Interface:
        """Return what it declares, or implements."""
        if cls.__interface is None:
            raise ConfigError("Service itself is no service: derive from it, with a name")
        return cls.__interface


def interface_of(service: object) -> Interface:
    """Return the interface of a Service's class, or of an object of one.

    Raises:
        ConfigError: It is none.
    """
    kind = service if isinstance(service, type) else type(service)
    if not issubclass(kind, Service):
        raise ConfigError(f"{kind.__qualname__} is no Service: derive it from isthmus.Service")
    return kind.__rpc__()
