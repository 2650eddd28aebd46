"""How much may cross at once."""

from collections.abc import Iterable, Sequence

from isthmus.errors import ConfigError
from isthmus.message import Message

__all__ = ["BOUND", "MAX_BATCH", "MAX_BODY", "require_few", "require_fitting", "require_text"]

MAX_BATCH = 10_000
MAX_BODY = 16 * 2**20
MAX_TOTAL = 128 * 2**20
"""Most bytes of bodies in one call: the server takes no statement of a gigabyte."""
BOUND = 10_000
"""Most messages, records or entries that one `maintain` drops."""


def require_few(items: Sequence[object]) -> None:
    """Raises: ConfigError."""
    if len(items) > MAX_BATCH:
        raise ConfigError(f"{len(items)} at once are too many, at most {MAX_BATCH}: split them")


def require_fitting(name: str, messages: Sequence[Message]) -> None:
    """Raises: ConfigError."""
    require_few(messages)
    for message in messages:
        if len(message.body) > MAX_BODY:
            raise ConfigError(
                f"message {message.id!r} for {name!r} has {len(message.body)} bytes, at most "
                f"{MAX_BODY}: store the body elsewhere and send a reference to it (a claim check)"
            )
        require_text((message.id, message.key))
    if (total := sum(len(message.body) for message in messages)) > MAX_TOTAL:
        raise ConfigError(
            f"{len(messages)} messages for {name!r} have {total} bytes together, at most "
            f"{MAX_TOTAL} go at once: split them"
        )


def require_text(names: Iterable[str]) -> None:
    """Raises: ConfigError: A name holds the one character that PostgreSQL's text cannot."""
    for name in names:
        if "\0" in name:
            raise ConfigError(f"{name!r} holds a NUL character, which PostgreSQL cannot store")
