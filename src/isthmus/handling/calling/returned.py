"""What a handler returns: the answer, if a request is handled."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from types import NoneType
from typing import Any, NamedTuple

from isthmus.errors import ConfigError
from isthmus.handling.calling.signature import NOTHING, Signature
from isthmus.handling.unit import Answer, current
from isthmus.schema import Schema, schema_of

__all__ = ["Returned", "noting", "returned"]

Function = Callable[..., Awaitable[Any]]


class Returned(NamedTuple):
    """What a handler says that it returns; no schema if it does not say, or nothing that a
    message can carry."""

    schema: Schema[Any] | None


def returned(signature: Signature, *, batch: bool) -> Returned | None:
    """Return what a handler of this signature may return; None if that is nothing."""
    if batch or signature.returns in (None, NoneType):
        return None
    if signature.returns in (NOTHING, Any, object):
        return Returned(None)
    with suppress(ConfigError):
        return Returned(schema_of(signature.returns))
    return Returned(None)


def noting(function: Function, says: Returned) -> Function:
    """Return what calls `function` and notes in the unit of work what it returned."""

    async def noted(*args: Any, **kwargs: Any) -> Any:
        unit, value = current.get(), await function(*args, **kwargs)
        if unit is not None:
            unit.answer = Answer(value, says.schema)
        return value

    return noted
