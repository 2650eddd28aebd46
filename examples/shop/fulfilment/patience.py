"""How long the service waits for others, as the place says."""

import msgspec

from isthmus import Module

__all__ = ["Patience", "module", "patience"]

module = Module("patience")


class Patience(msgspec.Struct, frozen=True):
    """FULFILMENT_SHIPPED, FULFILMENT_UNDOS."""

    shipped: float = 30.0
    """Seconds within which a charged order is shipped."""
    undos: int = 10
    """Attempts to undo a step, after which a person has to look."""


patience = module.settings_of(Patience, prefix="FULFILMENT_")
