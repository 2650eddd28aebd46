"""A URL becomes an engine, found by its scheme among the entry points."""

from importlib.metadata import EntryPoint, entry_points
from urllib.parse import urlsplit

from isthmus.clock import Clock, SystemClock
from isthmus.contracts import Engine, OpenEngine
from isthmus.errors import ConfigError

__all__ = ["GROUP", "connect", "redacted", "schemes"]

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
    scheme = urlsplit(url).scheme.partition("+")[0]
    for entry in entry_points(group=GROUP, name=scheme):
        return entry
    raise ConfigError(
        f"no engine for {redacted(url)!r}: scheme {scheme!r} is none of {', '.join(schemes())}; "
        "write it as sqlite:///file.db, or install the package that brings it"
    )


def _load(entry: EntryPoint) -> OpenEngine:
    try:
        return entry.load()
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"engine {entry.name!r} needs {error.name!r}: pip install 'isthmus[{entry.name}]'"
        ) from error


def redacted(url: str) -> str:
    """Return `url` without its password, fit for a log or an error."""
    parts = urlsplit(url)
    if parts.password is None:
        return url
    host = parts.netloc.rpartition("@")[2]
    return parts._replace(netloc=f"{parts.username}:***@{host}").geturl()
