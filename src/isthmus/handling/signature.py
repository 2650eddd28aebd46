"""What a user's function asks for, read once from its annotations."""

import functools
import inspect
import typing
from collections.abc import Callable
from typing import Annotated, Any, NamedTuple, get_args, get_origin

from isthmus.errors import ConfigError

__all__ = ["NOTHING", "Parameter", "Signature"]

NOTHING: Any = inspect.Parameter.empty
"""The annotation, or the default, of a parameter that has none."""


class Parameter(NamedTuple):
    """One parameter, and what its annotation says."""

    name: str
    annotation: Any
    """The type alone: what `Annotated` adds is in `marks`."""
    marks: tuple[Any, ...]
    default: Any
    by_name: bool
    """Whether it can only be given by name."""


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
    by_name = parameter.kind is parameter.KEYWORD_ONLY
    return Parameter(parameter.name, hint, marks, parameter.default, by_name)


def _code(function: Any) -> Any:
    """Return the function that runs when `function` is called."""
    while isinstance(function, functools.partial):
        function = function.func
    if inspect.isroutine(function) or inspect.isclass(function):
        return inspect.unwrap(function)
    return type(function).__call__


def _title(function: Any) -> str:
    while isinstance(function, functools.partial):
        function = function.func
    named: Any = function if hasattr(function, "__qualname__") else type(function)
    return f"{named.__module__}.{named.__qualname__}"
