"""A URL becomes an engine, found by its scheme among the entry points."""

from importlib.metadata import EntryPoint, entry_points

from isthmus.clock import Clock, SystemClock
from isthmus.contracts import Engine, OpenEngine
from isthmus.errors import ConfigError
from isthmus.url import redacted

__all__ = ["GROUP", "connect", "schemes"]

GROUP = "isthmus.engines"
"""The entry point group; third-party engines register here and are equals."""


def schemes() -> list[str]:
    """Return the URL schemes that installed engines answer to, sorted."""
    return sorted(entry.name for entry in entry_points(group=GROUP))


async def connect(url: str, *, clock: Clock | None = None) -> Engine:
    """Open the engine behind `url`, as "sqlite:///shop.db?durability=normal".

    Raises:
        ConfigError: No engine has the scheme, its extra is not installed, or
            the URL has an option that the engine does not know.
        UnavailableError: Nobody answers there.
    """
    open_engine: OpenEngine = _load(_entry(url))
    return await open_engine(url, clock=clock or SystemClock())


def _entry(url: str) -> EntryPoint:
    scheme = url.partition(":")[0].partition("+")[0].lower()
    found = {entry.value: entry for entry in entry_points(group=GROUP, name=scheme)}
    if not found:
        raise ConfigError(
            f"no engine for {redacted(url)!r}: scheme {scheme!r} is none of "
            f"{', '.join(schemes())}; write it as sqlite:///file.db, or install the package "
            "that brings it"
        )
    if len(found) > 1:
        raise ConfigError(
            f"{scheme!r} is the scheme of {' and '.join(sorted(found))}: uninstall one of them"
        )
    return found.popitem()[1]


def _load(entry: EntryPoint) -> OpenEngine:
    try:
        return entry.load()
    except ModuleNotFoundError as error:
        package = entry.dist.name if entry.dist else "isthmus"
        raise ConfigError(
            f"engine {entry.name!r} needs {error.name!r}: pip install '{package}[{entry.name}]'"
        ) from error
