"""What gRPC adds to the declared model."""

from typing import ClassVar

from isthmus.handling.model import Declared

__all__ = ["DeclaredService", "DeclaredStub"]


class DeclaredService(Declared, frozen=True, kw_only=True):
    """A service that is served: "shop.v1.InventoryService"."""

    kind: ClassVar[str] = "service"
    methods: tuple[str, ...]
    """As in a .proto: "Reserve(ReserveRequest) returns (ReserveResponse)"."""
    idempotent: tuple[str, ...]
    """Those that may be repeated."""
    interface: str
    """Where it is declared: "shop.inventory:Inventory"."""
    implementation: str
    """Where it is written: "shop.inventory:Inventory"."""


class DeclaredStub(Declared, frozen=True, kw_only=True):
    """A service that is called."""

    kind: ClassVar[str] = "stub"
    service: str
    address: str
    policy: tuple[str, ...]
    """Its strategies, outermost first, as they were when it was declared."""
