"""What a sqlite URL says: which file, and how it is kept."""

from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

import msgspec

from isthmus.contracts import Durability
from isthmus.errors import ConfigError

__all__ = ["Address"]

_GRADES: dict[str, Durability] = {"full": "disk", "normal": "process"}
_OPTIONS = {"durability", "busy_timeout"}


class Address(msgspec.Struct, frozen=True, kw_only=True):
    path: Path
    """Absolute, with links followed: the same file is the same path."""
    durability: Durability = "disk"
    """`durability=full`: what was acknowledged survives a loss of power; `normal`:
    a crash of the process; power may cost the last moments. Default full."""
    busy_timeout: float = 5.0
    """How long a stranger's transaction may be in the way, in seconds, 0 to 3600."""

    @classmethod
    def parse(cls, url: str) -> "Address":
        """Raises: ConfigError."""
        parts = urlsplit(url)
        options = dict(parse_qsl(parts.query, keep_blank_values=True))
        if unknown := options.keys() - _OPTIONS:
            raise ConfigError(
                f"{url}: unknown option {', '.join(sorted(unknown))}; "
                "there are durability=full|normal and busy_timeout=SECONDS"
            )
        return cls(
            path=_path(url),
            durability=_durability(url, options.get("durability", "full")),
            busy_timeout=_busy_timeout(url, options.get("busy_timeout", "5")),
        )


def _path(url: str) -> Path:
    parts = urlsplit(url)
    name = unquote(parts.path.removeprefix("/"))
    if not url.partition(":")[2].startswith("//"):
        raise ConfigError(
            f"{url}: the slashes tell a relative path from an absolute one; "
            f"write sqlite:///{name} or sqlite:////{name}"
        )
    if parts.netloc:
        raise ConfigError(
            f"{url}: {parts.netloc!r} stands where a host would; write sqlite:///{parts.netloc}"
            f"{parts.path} for a relative path, sqlite:////folder/file.db for an absolute one"
        )
    if name in {"", ":memory:"}:
        raise ConfigError(f"{url} names no file; for a database in memory write memory://")
    path = Path(name).resolve()
    if path.is_dir():
        raise ConfigError(f"{url}: {path} is a folder; name a file in it")
    if not path.parent.is_dir():
        raise ConfigError(f"{url}: the folder {path.parent} does not exist; create it first")
    return path


def _durability(url: str, grade: str) -> Durability:
    if grade not in _GRADES:
        raise ConfigError(f"{url}: durability is full or normal, not {grade!r}")
    return _GRADES[grade]


def _busy_timeout(url: str, text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= 3600:
        raise ConfigError(f"{url}: busy_timeout is a number of seconds, 0 to 3600, not {text!r}")
    return seconds
