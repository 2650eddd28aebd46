"""A parameter that comes as text: of the path, the query, a header or a cookie."""

import enum
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from types import NoneType
from typing import Any, Literal, NamedTuple, get_args, get_origin
from uuid import UUID

import msgspec

from isthmus.handling.calling.signature import NOTHING
from isthmus.schema.kinds import members_of
from isthmus.services.rest.call import RequestCall

__all__ = ["SEVERAL", "Text", "bare", "is_textual"]

_TEXTUAL = (str, int, float, bool, Decimal, UUID, datetime, date, time, timedelta, enum.Enum)
SEVERAL = (list, set, frozenset, tuple)


class Text(NamedTuple):
    """Text that becomes a value of `type`."""

    location: str
    """"path", "query", "header" or "cookie"."""
    name: str
    type: Any
    default: Any
    several: bool = False
    convert: Callable[[RequestCall, str], Any] | None = None
    """What reads it instead of its type; raises ValueError saying what is wrong."""

    @property
    def required(self) -> bool:
        return self.default is NOTHING

    def read(self, call: RequestCall) -> Any:
        """Return the value; raises ValueError saying what is wrong."""
        given = _GIVEN[self.location](call, self.name)
        if not given:
            if self.required:
                raise ValueError("missing")
            return self.default
        if self.convert is not None:
            return self.convert(call, given[-1])
        if self.type is str:
            return given[-1]
        value: object = list(given) if self.several else given[-1]
        try:
            return msgspec.convert(value, self.type, strict=False)
        except msgspec.ValidationError as error:
            told = str(error).replace("got `str`", f"got {value!r:.80}")
            raise ValueError(told) from error


def _in_path(call: RequestCall, name: str) -> Sequence[str]:
    return [str(call.scope["path_params"][name])]


def _in_query(call: RequestCall, name: str) -> Sequence[str]:
    return call.query.getlist(name)


def _in_headers(call: RequestCall, name: str) -> Sequence[str]:
    return call.headers.getlist(name)


def _in_cookies(call: RequestCall, name: str) -> Sequence[str]:
    found = call.request.cookies.get(name)
    return () if found is None else (found,)


_GIVEN: Mapping[str, Callable[[RequestCall, str], Sequence[str]]] = {
    "path": _in_path,
    "query": _in_query,
    "header": _in_headers,
    "cookie": _in_cookies,
}


def bare(type_: Any) -> Any:
    """Return the type without `| None`."""
    some = [member for member in members_of(type_) if member is not NoneType]
    return some[0] if len(some) == 1 else type_


def is_textual(type_: Any) -> bool:
    """Return whether values of `type_` can be written as text, alone or several times."""
    if members := members_of(type_):
        return all(member is NoneType or is_textual(member) for member in members)
    if get_origin(type_) is Literal:
        return True
    if get_origin(type_) in SEVERAL:
        return all(is_textual(item) for item in get_args(type_) if item is not Ellipsis)
    return isinstance(type_, type) and issubclass(type_, _TEXTUAL)
