"""Arguments that a parameter describes itself, by what `Annotated` adds to its type."""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from isthmus.errors import ConfigError, SchemaError
from isthmus.handling.calling.inject import Call, Offer, Plan, Source
from isthmus.handling.calling.provider import Provider
from isthmus.handling.calling.signature import NOTHING, Parameter, Signature

__all__ = ["Depends", "Header", "depends", "header"]


class Depends(msgspec.Struct, frozen=True):
    """`Annotated[User, Depends(user)]`: the parameter is what `user` returns, or yields.

    The function may be of any kind and has its own parameters, given like a handler's.
    It is called once for each call of a handler, however many parameters depend on it.
    """

    function: Callable[..., Any]


class Header(msgspec.Struct, frozen=True):
    """`Annotated[str, Header("x-tenant")]`: the parameter is a header of the message.

    Without a name it is the parameter's, its underscores as hyphens. A header that is
    missing is the default; where there is none, the message is unreadable.
    """

    name: str = ""


def header(signature: Signature, parameter: Parameter) -> Source | None:
    """Offer a header, converted to the annotated type."""
    if (mark := signature.find(Header, parameter)) is None:
        return None
    name = mark.name or parameter.name.replace("_", "-")
    type_ = str if parameter.annotation is NOTHING else parameter.annotation

    def take(call: Call) -> Any:
        if (text := call.headers.get(name)) is not None:
            return _converted(text, type_, name)
        if parameter.default is NOTHING:
            raise SchemaError(f"header {name!r} is missing", problems=[f"{name}: missing"])
        return parameter.default

    return Source(take)


def _converted(text: str, type_: Any, name: str) -> Any:
    try:
        return msgspec.convert(text, type_, strict=False)
    except msgspec.ValidationError as error:
        raise SchemaError(f"header {name!r}: {error}", problems=[f"{name}: {error}"]) from error


def depends(offers: Sequence[Offer], *, possible: str) -> Offer:
    """Offer the values of `Depends`, whose functions are given `offers`, and each other."""
    return _Dependencies(offers, possible).offer


class _Dependencies:
    def __init__(self, offers: Sequence[Offer], possible: str) -> None:
        self._offers, self._possible = (self.offer, *offers), possible
        self._way: list[Callable[..., Any]] = []

    def offer(self, signature: Signature, parameter: Parameter) -> Source | None:
        if (mark := signature.find(Depends, parameter)) is None:
            return None
        function = mark.function
        if function in self._way:
            raise ConfigError(f"{signature.title}() depends on itself; take one Depends away")
        self._way.append(function)
        own = Signature(function)
        plan = Plan(own, self._offers, possible=self._possible)
        self._way.pop()
        return _source(function, Provider(function, own, plan), plan)


def _source(function: Callable[..., Any], provider: Provider, plan: Plan) -> Source:
    async def take(call: Call) -> Any:
        if function not in call.cache:
            call.cache[function] = await provider.open(call, call.opened)
        return call.cache[function]

    return Source(take, waits=True, require=plan.require)
