"""What a user's function asks for, read once from its annotations."""

import functools
import inspect
import typing
from collections.abc import Callable
from typing import Annotated, Any, NamedTuple, TypeVar, cast, get_args, get_origin

import msgspec

from isthmus.errors import ConfigError

__all__ = ["NOTHING", "Parameter", "Signature"]

M = TypeVar("M")

NOTHING: Any = inspect.Parameter.empty
"""The annotation, or the default, of a parameter that has none."""


class Parameter(NamedTuple):
    """One parameter, and what its annotation says."""

    name: str
    annotation: Any
    """The type alone: what `Annotated` adds is in `marks`."""
    marks: tuple[Any, ...]
    default: Any
    by_place: bool
    """Whether it can only be given by its place, never by name."""
    by_name: bool
    """Whether it can only be given by name."""

    def own_default(self, _: object) -> Any:
        """Return its default, whatever the call."""
        return self.default


class Signature:
    """The parameters of one function."""

    def __init__(self, function: Callable[..., Any]) -> None:
        """Read the signature of `function`: a function, a method, a partial or a callable object.

        Raises:
            ConfigError: An annotation names something unknown.
        """
        self.title = _title(function)
        """Module and name, for errors."""
        code = _code(function)
        self.is_async = inspect.iscoroutinefunction(code)
        self.is_generator = inspect.isgeneratorfunction(code)
        self.is_async_generator = inspect.isasyncgenfunction(code)
        hints = self._hints(code)
        self.returns = hints.get("return", NOTHING)
        self.parameters = [
            _parameter(parameter, hints.get(parameter.name, NOTHING))
            for parameter in inspect.signature(function).parameters.values()
            if parameter.kind not in {parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD}
        ]

    def error(self, parameter: str, fault: str) -> ConfigError:
        """Return an error about one parameter."""
        return ConfigError(f"{self.title}(): parameter {parameter!r} {fault}")

    def find(self, kind: type[M], parameter: Parameter) -> M | None:
        """Return what `Annotated` adds to a parameter, if there is one such.

        Raises:
            ConfigError: It is there as a class, or twice.
        """
        if kind in parameter.marks:
            raise self.error(parameter.name, f"has {kind.__name__}; write {kind.__name__}(...)")
        found = [mark for mark in parameter.marks if isinstance(mark, kind)]
        if len(found) > 1:
            raise self.error(parameter.name, f"has {len(found)} {kind.__name__}; keep one")
        return found[0] if found else None

    def _hints(self, code: Callable[..., Any]) -> dict[str, Any]:
        try:
            return typing.get_type_hints(code, include_extras=True)
        except NameError as error:
            raise ConfigError(
                f"{self.title}(): an annotation names {error.name!r}, which its module does not "
                "know yet; define it at the module's level, above the function"
            ) from error


def _parameter(parameter: inspect.Parameter, hint: Any) -> Parameter:
    marks: tuple[Any, ...] = ()
    if get_origin(hint) is Annotated:
        hint, *rest = get_args(hint)
        marks = tuple(rest)
    by_place = parameter.kind is parameter.POSITIONAL_ONLY
    by_name = parameter.kind is parameter.KEYWORD_ONLY
    return Parameter(parameter.name, hint, marks, parameter.default, by_place, by_name)


def _code(function: Any) -> Any:
    """Return what has the annotations of `function`: what runs when it is called, or a model."""
    while isinstance(function, functools.partial):
        function = function.func
    if inspect.isclass(function):
        return function if _says_by_its_fields(function) else function.__init__
    return inspect.unwrap(function if inspect.isroutine(function) else type(function).__call__)


def _says_by_its_fields(kind: type[Any]) -> bool:
    """Return whether the annotations are the class', as `__init__` has none."""
    return issubclass(kind, msgspec.Struct) or hasattr(kind, "__pydantic_fields__")


def _title(function: Any) -> str:
    while isinstance(function, functools.partial):
        function = function.func
    if not hasattr(function, "__qualname__"):
        function = cast("Any", type(function))
    return f"{function.__module__}.{function.__qualname__}"
