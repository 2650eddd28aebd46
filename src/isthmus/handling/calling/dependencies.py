"""Arguments that a parameter describes itself, by what `Annotated` adds to its type."""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from msgspec.inspect import is_struct_type

from isthmus.errors import ConfigError, SchemaError
from isthmus.handling.calling import given
from isthmus.handling.calling.inject import Call, Offer, Plan, Source
from isthmus.handling.calling.provider import Provider
from isthmus.handling.calling.signature import NOTHING, Parameter, Signature
from isthmus.handling.host import Host

__all__ = ["Depends", "Header", "depends", "header"]

INSTEAD = "what is called instead of a dependency may take Transaction, Host and resources"


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


def _own_defaults(kind: type[msgspec.Struct], signature: Signature) -> Callable[..., Any]:
    """Return what makes a Struct and leaves its defaults to it, a new list for each."""
    defaults = {parameter.name: parameter.default for parameter in signature.parameters}

    def make(**values: Any) -> msgspec.Struct:
        said = {name: value for name, value in values.items() if value is not defaults[name]}
        return kind(**said)

    return make


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
        chosen = _Chosen(function, self._offers, self._possible)
        self._way.pop()
        return Source(chosen.take, waits=True, require=chosen.require)


class _Chosen:
    """What gives the value of one Depends: its function, or what the open App has instead."""

    def __init__(
        self, function: Callable[..., Any], offers: Sequence[Offer], possible: str
    ) -> None:
        self._function, self._possible = function, possible
        signature = Signature(function)
        self._plan = Plan(signature, offers, possible=possible)
        made = _own_defaults(function, signature) if is_struct_type(function) else function
        self._own = self._provider = Provider(made, signature, self._plan)

    def require(self, host: Host) -> None:
        """Raises ConfigError if the Host lacks what it takes."""
        other = host.overrides.get(self._function)
        if other is None:
            self._provider = self._own
            return self._plan.require(host)
        signature = Signature(other)
        plan = Plan(signature, (given.transaction, given.host, given.resource), possible=INSTEAD)
        plan.require(host)
        self._provider = Provider(other, signature, plan)

    async def take(self, call: Call) -> Any:
        if self._function not in call.cache:
            call.cache[self._function] = await self._provider.open(call, call.opened)
        return call.cache[self._function]
