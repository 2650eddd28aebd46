"""What an App opens once and gives to its handlers: pools, clients, settings."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator, Mapping
from contextlib import AsyncExitStack
from functools import partial
from typing import Any, TypeVar, get_args, get_origin

from isthmus.errors import ConfigError, IsthmusError, UnavailableError
from isthmus.handling.calling import given
from isthmus.handling.calling.dependencies import depends
from isthmus.handling.calling.inject import Call, Offer, Plan, Source
from isthmus.handling.calling.provider import Provider
from isthmus.handling.calling.signature import NOTHING, Parameter, Signature
from isthmus.handling.declarations import Declarations
from isthmus.handling.host import Host
from isthmus.schema.kinds import type_name

__all__ = ["ResourceError", "Resources", "given_by", "resource"]

Function = TypeVar("Function", bound=Callable[..., Any])

_YIELDING = (AsyncIterator, AsyncGenerator, Iterator, Generator)
POSSIBLE = "a resource may take Host, other resources by their type, and Annotated[..., Depends(f)]"


class ResourceError(UnavailableError):
    """The user's function that gives a resource raised, which is the `__cause__`."""


def resource(declared: Declarations, function: Function) -> Function:
    """Have what `function` gives opened with the App, and given by its type.

    Raises:
        ConfigError: It does not say what it gives, or another function gives the same.
    """
    declared.provide(given_by(function), function)
    return function


def given_by(function: Callable[..., Any]) -> Any:
    """Return the type of what `function` gives: its return annotation, or what it yields.

    Raises:
        ConfigError: It does not say.
    """
    signature = Signature(function)
    returns = signature.returns
    if signature.is_generator or signature.is_async_generator:
        returns = get_args(returns)[0] if get_origin(returns) in _YIELDING else NOTHING
    if returns in (NOTHING, None, type(None), Any):
        raise ConfigError(
            f"{signature.title}() does not say what it gives; annotate it: "
            "`-> Pool`, or `-> AsyncIterator[Pool]` if it yields"
        )
    return returns


class Resources(Mapping[Any, Any]):
    """The open resources of one Host, by their type."""

    def __init__(self, declared: Mapping[Any, Callable[..., Any]]) -> None:
        self.declared = declared
        """The functions, by the type that each gives."""
        self._open: dict[Any, Any] = {}
        self._closing: list[AsyncExitStack] = []
        self._way: list[Any] = []

    async def open(self, host: Host) -> None:
        """Open all, each after those it needs.

        Raises:
            ConfigError: One needs what nobody gives, or itself.
            ResourceError: The function raised; those opened before are closed by `aclose`.
        """
        call = Call(host, {})
        for kind in self.declared:
            await self._opened(kind, call)

    async def give(self, kind: Any, host: Host) -> Any:
        """Return a resource; it is opened now if it is not yet.

        Raises:
            KeyError: Nobody gives it.
            Exception: As `open`.
        """
        return await self._opened(kind, Call(host, {}))

    async def aclose(self) -> None:
        """Close all, the last opened first; twice is once.

        Raises:
            Exception: What closing one raised, or an ExceptionGroup; the others are closed.
        """
        self._open.clear()
        errors: list[Exception] = []
        while self._closing:
            try:
                await self._closing.pop().aclose()
            except Exception as error:  # noqa: BLE001 - raised when all are closed
                errors.append(error)
        if len(errors) > 1:
            raise ExceptionGroup("several resources could not be closed", errors)
        if errors:
            raise errors[0]

    async def _opened(self, kind: Any, call: Call) -> Any:
        if kind not in self._open:
            self._refuse_a_circle(kind)
            self._way.append(kind)
            own = AsyncExitStack()  # one each: an error of one is no other's
            self._open[kind] = await self._given(kind, call, own)
            self._closing.append(own)
            self._way.pop()
        return self._open[kind]

    async def _given(self, kind: Any, call: Call, own: AsyncExitStack) -> Any:
        try:
            return await self._provider(kind).open(call, own)
        except IsthmusError:
            raise  # it says already what is to be done
        except Exception as error:
            title = Signature(self.declared[kind]).title.rpartition(".")[2]
            raise ResourceError(
                f"resource {title}() failed: {type(error).__name__}: {error}"
            ) from error

    def _provider(self, kind: Any) -> Provider:
        function = self.declared[kind]
        signature = Signature(function)
        return Provider(function, signature, self.plan(signature))

    def plan(self, signature: Signature, *offers: Offer) -> Plan:
        """Return how a function is given what resources may ask for, and first what `offers`
        give. Ask while they open: what it needs is opened before it.

        Raises:
            ConfigError: Nobody gives what it asks for.
        """
        first = (*offers, given.host, self._needed)
        return Plan(signature, (depends(first, possible=POSSIBLE), *first), possible=POSSIBLE)

    def _needed(self, _: Signature, parameter: Parameter) -> Source | None:
        kind = parameter.annotation
        if kind is NOTHING or kind not in self.declared:
            return None
        return Source(partial(self._opened, kind), waits=True)

    def _refuse_a_circle(self, kind: Any) -> None:
        if kind in self._way:
            circle = [*self._way[self._way.index(kind) :], kind]
            raise ConfigError(
                f"resources need each other in a circle: {' -> '.join(map(type_name, circle))}; "
                "take one of these parameters away"
            )

    def __getitem__(self, kind: Any) -> Any:
        return self._open[kind]

    def __iter__(self) -> Any:
        return iter(self._open)

    def __len__(self) -> int:
        return len(self._open)
