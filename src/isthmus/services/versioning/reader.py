"""A place where a request says which version it wants; places are joined by |."""

from starlette.types import Scope

from isthmus.handling.calling.dependencies import Header
from isthmus.services.versioning.asked import Asked
from isthmus.versions.names import Names

__all__ = ["Choice", "Place", "Reader"]


class Choice:
    """Several places, as `Uri() | Header() | MediaType()`: a request may use any of them."""

    def __init__(self, *places: "Place") -> None:
        self.places = places

    def __or__(self, other: "Place | Choice") -> "Choice":
        return Choice(*self.places, *_places(other))

    def __ror__(self, other: Header) -> "Choice":
        return Choice(other, *self.places)


class Reader:
    """Reads one place."""

    def read(self, scope: Scope, names: Names) -> Asked | None:
        """Return what a request asks for here, or None if it says nothing here.

        Raises:
            Problem: It asks for a version that there is not.
        """
        raise NotImplementedError

    @property
    def headers(self) -> tuple[str, ...]:
        """The headers that an answer depends on."""
        return ()

    def told(self, names: Names) -> str:
        """Return how a version is said here, with an example."""
        raise NotImplementedError

    def __or__(self, other: "Place | Choice") -> Choice:
        return Choice(self, *_places(other))

    def __ror__(self, other: Header) -> Choice:
        return Choice(other, self)


Place = Reader | Header
"""`Header` is the word that marks a handler's parameter, too."""


def _places(other: "Place | Choice") -> tuple[Place, ...]:
    return other.places if isinstance(other, Choice) else (other,)
