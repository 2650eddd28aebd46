"""One operation of an API, and what its JSON bodies are."""

import re
from typing import Any, NamedTuple

from isthmus.errors import ConfigError

__all__ = ["Operation", "operation_at"]

_OPERATION = re.compile(r"(GET|POST|PUT|PATCH|DELETE|HEAD|OPTIONS|QUERY) (/\S*)")


class Operation(NamedTuple):
    """A method of a path, "/orders/{id}"; None where no type is known."""

    method: str
    path: str
    takes: Any = None
    gives: Any = None

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


def operation_at(said: str, *, takes: Any = None, gives: Any = None) -> Operation:
    """Read "POST /orders"; raises ConfigError if it is written in another way."""
    if (found := _OPERATION.fullmatch(said)) is None:
        raise ConfigError(f'{said!r}: expected a method and a path, as "POST /orders/{{id}}"')
    return Operation(found[1], found[2], takes, gives)
