"""What changed in an app's folder, for `isthmus run --reload`."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from isthmus.errors import ConfigError

__all__ = ["changes"]

_OF_INTEREST = frozenset({".py", ".sql", ".toml", ".yaml", ".yml", ".env"})
"""Suffixes of what an app is made of; a database beside it changes all the time."""


def changes(folder: Path) -> AsyncIterator[str]:
    """Yield the name of a file whenever some below `folder` changed.

    Raises:
        ConfigError: watchfiles is not installed.
    """
    try:
        import watchfiles
    except ImportError as error:
        raise ConfigError("--reload needs watchfiles: pip install 'isthmus[cli]'") from error

    class OfInterest(watchfiles.DefaultFilter):
        def __call__(self, change: watchfiles.Change, path: str) -> bool:
            return Path(path).suffix in _OF_INTEREST and super().__call__(change, path)

    async def named() -> AsyncIterator[str]:
        watched: Any = getattr(watchfiles, "awatch")  # noqa: B009 - its hints are incomplete
        async for changed in watched(folder, watch_filter=OfInterest()):
            yield min(str(Path(path).relative_to(folder)) for _, path in changed)

    return named()
