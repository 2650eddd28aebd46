"""All places that one API goes by: what a request asked for, or what is wrong with it."""

from collections.abc import Sequence

from starlette.types import Scope

from isthmus.errors import ConfigError
from isthmus.handling.calling.dependencies import Header
from isthmus.services.versioning.asked import Asked
from isthmus.services.versioning.by_header import ByHeader
from isthmus.services.versioning.reader import Choice, Place, Reader
from isthmus.services.versioning.refusals import contradictory, unnamed
from isthmus.services.versioning.uri import Uri
from isthmus.versions.names import Names

__all__ = ["Readers"]


class Readers:
    """Asked in turn; they must agree."""

    def __init__(self, by: Place | Choice, names: Names, *, default: str | None) -> None:
        """`default`: of requests that say nothing; None refuses them.

        Raises:
            ConfigError: `by` is none of Uri, Header and MediaType, or names one twice.
        """
        self._names, self._default = names, default and names.require(default)
        self.all = [_reader(place) for place in (by.places if isinstance(by, Choice) else (by,))]
        if len({repr(reader) for reader in self.all}) < len(self.all):
            raise ConfigError(f"by={' | '.join(map(repr, self.all))}: one is there twice")
        self._by_path = any(isinstance(reader, Uri) for reader in self.all)

    @property
    def vary(self) -> Sequence[str]:
        """The headers that answers depend on."""
        return [name for reader in self.all for name in reader.headers]

    def asked(self, scope: Scope) -> Asked:
        """Return what a request asks for.

        Raises:
            Problem: It asks for what there is not, for several, or for none.
        """
        found: Asked | None = None
        for reader in self.all:
            one = reader.read(scope, self._names)
            if one is not None:
                found = one if found is None else self._both(found, one)
        return self._unsaid(scope) if found is None else found

    def _both(self, one: Asked, other: Asked) -> Asked:
        if one.version != other.version:
            both = {one.place: one.version, other.place: other.version}
            raise contradictory(both, self._names.all)
        return Asked(
            one.version,
            one.place,
            root=other.root if one.root is None else one.root,
            headers=other.headers if one.headers is None else one.headers,
            media_type=one.media_type or other.media_type,
        )

    def _unsaid(self, scope: Scope) -> Asked:
        if self._default is not None:
            return Asked(self._default, "nothing")
        if scope["type"] == "http" and scope["method"] == "OPTIONS" and not self._by_path:
            return Asked(self._names.head, "nothing")  # a browser's preflight cannot say
        ways = [reader.told(self._names) for reader in self.all]
        raise unnamed(404 if self._by_path else 400, ways, self._names.all)


def _reader(place: Place) -> Reader:
    if isinstance(place, Header):
        return ByHeader(place.name)
    if isinstance(place, Reader):  # pyright: ignore[reportUnnecessaryIsInstance]
        return place
    raise ConfigError(f"by={place!r}: expected Uri(), Header(), MediaType(), joined by |")
