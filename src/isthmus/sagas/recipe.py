"""One version of a saga, as far as driving it goes: its function, and what is known of it."""

from collections.abc import Callable, Coroutine
from typing import Any

from isthmus.errors import ConfigError
from isthmus.handling.calling.signature import NOTHING, Signature
from isthmus.sagas.course import Course
from isthmus.sagas.kept import Kept
from isthmus.sagas.options import SagaOptions
from isthmus.sagas.playback import Playback
from isthmus.sagas.saga import Saga

__all__ = ["Recipe"]

Function = Callable[..., Coroutine[Any, Any, Any]]


class Recipe:
    """A saga's function with its options."""

    def __init__(
        self, name: str, version: int, function: Function, *, options: SagaOptions
    ) -> None:
        """Raises ConfigError if the function is not one of a saga."""
        self.name, self.version = name, _checked(version)
        self.function, self.options = function, options
        signature = Signature(function)
        self.title = signature.title
        self.input = Kept(_input(signature), what=f"what saga {name!r} is started with")
        self.result = Kept(signature.returns, what=f"what saga {name!r} returns")
        self.queries: dict[str, Callable[[Saga], Any]] = {}
        self._takes_input = len(signature.parameters) > 1

    def played(self, key: str, course: Course) -> tuple[Saga, Playback]:
        """Return a saga, called `key` by the store, and what plays it; it is not advanced yet.

        Raises:
            SchemaError: What it was started with cannot be read any more.
        """
        saga = Saga(self.name, self.version, key.partition("/")[2], self.options)
        given = (self.input.decode(course.started.input),) if self._takes_input else ()
        playback = Playback(key, course, lambda: self.function(saga, *given))
        saga.play(playback)
        return saga, playback


def _input(signature: Signature) -> Any:
    """Return the type of what the function is started with; None if it takes nothing."""
    if not signature.is_async:
        raise ConfigError(f"{signature.title}() is a saga: write it as async def")
    parameters = signature.parameters
    if not 1 <= len(parameters) <= 2 or parameters[0].annotation not in (Saga, NOTHING):
        raise ConfigError(
            f"{signature.title}(): a saga takes a Saga, and what it is started with, if anything: "
            "async def fulfil(saga: Saga, order: Order)"
        )
    return parameters[1].annotation if len(parameters) == 2 else None


def _checked(version: object) -> int:
    if isinstance(version, bool) or not isinstance(version, int) or version < 1:
        raise ConfigError(f"version={version!r}: expected a whole number from 1 up")
    return version
