"""What follows the question mark."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime
from enum import Enum
from typing import Any, cast
from urllib.parse import urlencode

__all__ = ["Params", "encoded"]

Params = Mapping[str, Any]
"""By name: text, numbers, bools, moments, enums, or several of them; None is left out."""


def encoded(params: Params) -> str:
    """Return `params` as a query, or as the body of a form."""
    return urlencode(list(_pairs(params)))


def _pairs(params: Params) -> Iterator[tuple[str, str]]:
    for name, value in params.items():
        if isinstance(value, str | bytes) or not isinstance(value, Iterable):
            several: Iterable[Any] = (value,)
        else:
            several = cast("Iterable[Any]", value)
        for one in several:
            if one is not None:
                yield name, _text(one)


def _text(value: object) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case Enum():
            return str(value.value)
        case datetime() | date():
            return value.isoformat()
        case bytes():
            return value.decode()
        case _:
            return str(value)
