"""A read model's place in an open App."""

from isthmus.errors import ConfigError, UnsupportedError
from isthmus.handling.host import Host
from isthmus.sourcing.generation import writing
from isthmus.sourcing.standings import Standings

__all__ = ["Bound", "require_sql"]


class Bound:
    """Which projection a read model belongs to, and which generation is read or written."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._projection = ""
        self._host: Host | None = None

    def to(self, host: Host, projection: str) -> None:
        if self._projection not in ("", projection):
            raise ConfigError(
                f"{self._what} is written by projection {self._projection!r}, and cannot be by "
                f"{projection!r} too; give each its own"
            )
        self._projection, self._host = projection, host

    @property
    def host(self) -> Host:
        if self._host is None:
            raise ConfigError(
                f"{self._what} is not open: name it in a projection, `into=[...]`, and open the App"
            )
        return self._host

    @property
    def written(self) -> int:
        """The generation whose handler runs here, if it is that of its own projection; else 0."""
        found = writing.get()
        return found.generation if found and found.projection == self._projection else 0

    async def generation(self) -> int:
        """Return the generation that is written here, or else the live one."""
        if number := self.written:
            return number
        return (await Standings(self.host.store).get(self._projection)).live.number


def require_sql(host: Host, what: str, *, among: tuple[str, ...]) -> None:
    """Raises UnsupportedError unless the store speaks one of these dialects."""
    if host.store.capabilities.sql not in among:
        scheme = (host.settings.store or host.settings.engine).partition(":")[0]
        able = " and ".join(f"{dialect}://" for dialect in among)
        raise UnsupportedError(f"{what} needs SQL of {able}, and the store is {scheme}://")
