"""How a saga is declared."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol, TypeVar, Unpack, overload

from isthmus.errors import ConfigError
from isthmus.handling.declarations import Declarations
from isthmus.sagas.definition import Definition
from isthmus.sagas.listening import Listened
from isthmus.sagas.options import SagaWords, options
from isthmus.sagas.saga import Saga

__all__ = ["Make", "saga"]

I = TypeVar("I")  # noqa: E741
R = TypeVar("R")


class Make(Protocol):
    """Makes a saga of a function, with what it is started with, or without."""

    @overload
    def __call__(self, function: Callable[[Saga, I], Awaitable[R]], /) -> Definition[I, R]: ...
    @overload
    def __call__(self, function: Callable[[Saga], Awaitable[R]], /) -> Definition[None, R]: ...
    def __call__(self, function: Any, /) -> Any: ...


def saga(
    declared: Declarations,
    name: str,
    *,
    version: int = 1,
    on: Sequence[Listened] = (),
    **words: Unpack[SagaWords],
) -> Make:
    """Return what makes a saga of a function."""
    if not isinstance(name, str):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ConfigError('a saga needs a name: write @app.saga("fulfil", version=1)')
    chosen = options(**words)

    def made(function: Callable[..., Any]) -> Definition[Any, Any]:
        return Definition(name, version, function, declared, options=chosen, on=on)

    return made
