"""Names of queues, topics and subscriptions: what engines of every kind can carry."""

import re

from isthmus.errors import ConfigError

__all__ = ["checked"]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.\-]{0,99}")


def checked(name: str, *, what: str) -> str:
    """Return `name`, or raise ConfigError saying how names are written."""
    if not isinstance(name, str):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ConfigError(f'a {what} needs a name: write @....{what}("name"), not {name!r}')
    if not _NAME.fullmatch(name):
        raise ConfigError(
            f"{what} name {name!r} is not allowed: up to 100 letters, digits, '-', '_' and '.', "
            "beginning with a letter or digit"
        )
    return name
