"""A text that nobody sees by accident."""

import hmac
from typing import Any, Final, NoReturn, final

from isthmus.errors import ConfigError

__all__ = ["MASK", "Secret"]

MASK: Final = "***"
"""What is shown in a secret's place."""


@final
class Secret:
    """A key, password or token: shown nowhere but by `reveal`.

    Printed, formatted, logged and in the repr of what holds it, it is `***`; JSON and pickle
    refuse it. Two are compared in a time that tells nothing of where they differ.
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        """Raises ConfigError if it is empty: whatever an empty key guards is open."""
        if not isinstance(text, str):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ConfigError(f"Secret(...): expected text, got {type(text).__name__}")
        if not text:
            raise ConfigError("a secret is empty")
        self._text = text

    def reveal(self) -> str:
        """Return the text itself; where it goes from there is up to you."""
        return self._text

    def __repr__(self) -> str:
        return f"Secret({MASK!r})"

    def __str__(self) -> str:
        return MASK

    def __format__(self, spec: str) -> str:
        return format(MASK, spec)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self._text.encode(), other._text.encode())

    def __hash__(self) -> int:
        return hash((Secret, self._text))

    def __copy__(self) -> "Secret":
        return self

    def __deepcopy__(self, _: dict[int, Any]) -> "Secret":
        return self

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret is not pickled, as it would be readable then; reveal() it")
