"""Arguments by annotation: what a function asks for, taken from one call.

A room says what it can give as `Offer`s, asked in turn for every parameter. A
`Plan` is made of the answers once; then each call only takes.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Any, NamedTuple, Self

from isthmus.handling.calling.signature import NOTHING, Parameter, Signature
from isthmus.handling.host import Host

__all__ = ["Call", "Offer", "Plan", "Source"]


class Call:
    """One call of a handler: what its arguments are taken from. Rooms add to it.

    Left, it closes what dependencies opened for it; they see the handler's error,
    but cannot make it go away.
    """

    headers: Mapping[str, str]

    def __init__(self, host: Host, headers: Mapping[str, str] | None = None) -> None:
        """`headers`: None in a room whose calls make them when they are asked for."""
        self.host = host
        if headers is not None:
            self.headers = headers
        self.cache: dict[object, Any] = {}
        self._opened: AsyncExitStack | None = None

    @property
    def opened(self) -> AsyncExitStack:
        """What is closed when the call is left; made when first asked for, as most calls open
        nothing."""
        if self._opened is None:
            self._opened = AsyncExitStack()
        return self._opened

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._opened is not None:
            await self._opened.__aexit__(kind, error, trace)


class Source(NamedTuple):
    """Where an argument is taken from."""

    take: Callable[[Any], Any]
    """Given the Call; returns an awaitable if the source `waits`."""
    waits: bool = False
    require: Callable[[Host], None] | None = None
    """Raises ConfigError if an open Host lacks what it takes from."""


Offer = Callable[[Signature, Parameter], Source | None]
"""What can be given to a parameter; None if that is for others to say."""


class Plan:
    """The arguments of one function, planned once."""

    def __init__(self, signature: Signature, offers: Sequence[Offer], *, possible: str) -> None:
        """`possible`: what may be asked for, told when something else is.

        Raises:
            ConfigError: No offer fits a parameter that has no default.
        """
        self._signature, self._offers, self._possible = signature, offers, possible
        self._by_place: list[Source] = []
        self._by_name: dict[str, Source] = {}
        for parameter in signature.parameters:
            source = self._source(parameter)
            if parameter.by_place:
                self._by_place.append(source)
            else:
                self._by_name[parameter.name] = source

    def require(self, host: Host) -> None:
        """Raise ConfigError if an open Host lacks what the arguments are taken from."""
        for source in (*self._by_place, *self._by_name.values()):
            if source.require is not None:
                source.require(host)

    @property
    def waits(self) -> bool:
        """Whether an argument has to be awaited: then `at_once` cannot take them."""
        return any(source.waits for source in (*self._by_place, *self._by_name.values()))

    def at_once(self, call: Call) -> tuple[list[Any], dict[str, Any]]:
        """Take the arguments as `arguments` does, where none has to be awaited."""
        by_place = [source.take(call) for source in self._by_place]
        return by_place, {name: source.take(call) for name, source in self._by_name.items()}

    async def arguments(self, call: Call) -> tuple[list[Any], dict[str, Any]]:
        """Take the arguments of one call, in the order of the parameters."""
        by_place = [await _taken(source, call) for source in self._by_place]
        by_name = {name: await _taken(source, call) for name, source in self._by_name.items()}
        return by_place, by_name

    def _source(self, parameter: Parameter) -> Source:
        for offer in self._offers:
            if (source := offer(self._signature, parameter)) is not None:
                return source
        if parameter.default is not NOTHING:
            return Source(parameter.own_default)
        raise self._signature.error(parameter.name, f"cannot be given; {self._possible}")


async def _taken(source: Source, call: Call) -> Any:
    return await source.take(call) if source.waits else source.take(call)
