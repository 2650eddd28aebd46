"""What sagas add to the declared model."""

from collections.abc import Sequence
from typing import ClassVar

from isthmus.handling.model import Declared
from isthmus.sagas.options import SagaOptions

__all__ = ["DeclaredSaga"]


class DeclaredSaga(Declared, frozen=True, kw_only=True):
    """One version of a saga: "fulfil/1"."""

    kind: ClassVar[str] = "saga"
    saga: str
    version: int
    function: str
    """Where it is written: "shop.orders.fulfil"."""
    on: Sequence[str] = ()
    """The topics whose events it may wait for."""
    options: SagaOptions
