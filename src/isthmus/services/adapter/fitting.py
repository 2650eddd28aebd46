"""Whether a method can be called as another is declared, and gives what that one says."""

import inspect
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from inspect import Parameter
from typing import Any, TypeVar, cast, get_args, get_origin

from isthmus.schema.kinds import members_of, type_name

__all__ = ["misfit"]

NOTHING: Any = Parameter.empty
BY_PLACE = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)


def misfit(given: object, asked: Callable[..., Any]) -> str | None:
    """Return why `given` can't stand where `asked` is declared; None if it can. Both are as a
    class has them, with `self`."""
    if isinstance(given, staticmethod | classmethod | property) or not callable(given):
        return "it is no method"
    made = cast("Callable[..., Any]", given)
    if inspect.iscoroutinefunction(asked) != inspect.iscoroutinefunction(made):
        return f"it has to be {'async def' if inspect.iscoroutinefunction(asked) else 'def'}"
    return next(_misfits(made, asked), None)


def _misfits(given: Callable[..., Any], asked: Callable[..., Any]) -> Iterator[str]:
    ours, theirs = _parameters(asked), _parameters(given)
    taken = set[str]()
    for place, parameter in enumerate(ours):
        found = _counterpart(parameter, place, theirs)
        if found is None:
            yield f"parameter {parameter.name!r} is missing"
            continue
        taken.add(found.name)
        if parameter.default is not NOTHING and found.default is NOTHING and _is_one(found):
            yield f"parameter {parameter.name!r} has no default"
    for parameter in theirs:
        if parameter.name not in taken and parameter.default is NOTHING and _is_one(parameter):
            yield f"parameter {parameter.name!r} has to be given, and nobody gives it"
    yield from _mistyped(given, asked, ours)


def _parameters(method: Callable[..., Any]) -> Sequence[Parameter]:
    """Return its parameters without `self`."""
    return list(inspect.signature(method).parameters.values())[1:]


def _counterpart(asked: Parameter, place: int, given: Sequence[Parameter]) -> Parameter | None:
    if asked.kind is Parameter.POSITIONAL_ONLY:
        by_place = [each for each in given if each.kind in BY_PLACE]
        if place < len(by_place):
            return by_place[place]
        return next((each for each in given if each.kind is Parameter.VAR_POSITIONAL), None)
    for at, each in enumerate(given):
        if each.name == asked.name and each.kind is not Parameter.POSITIONAL_ONLY:
            if asked.kind is Parameter.POSITIONAL_OR_KEYWORD and at != place:
                return None
            if asked.kind is Parameter.POSITIONAL_OR_KEYWORD and each.kind not in BY_PLACE:
                return None
            return each
    return next((each for each in given if each.kind is Parameter.VAR_KEYWORD), None)


def _is_one(parameter: Parameter) -> bool:
    return parameter.kind not in {Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD}


def _mistyped(
    given: Callable[..., Any], asked: Callable[..., Any], ours: Sequence[Parameter]
) -> Iterator[str]:
    takes, wants = _hints(given), _hints(asked)
    for name in (parameter.name for parameter in ours):
        if name in takes and name in wants and not _fits(wants[name], takes[name]):
            yield f"{name!r} is {type_name(takes[name])}, and {type_name(wants[name])} is given"
    if "return" in takes and "return" in wants and not _fits(takes["return"], wants["return"]):
        yield f"it gives {type_name(takes['return'])}, and not {type_name(wants['return'])}"


def _hints(method: Callable[..., Any]) -> Mapping[str, Any]:
    try:
        return typing.get_type_hints(inspect.unwrap(method))
    except (NameError, TypeError):
        return {}  # it names what is not there at run time: that is pyright's to judge


def _fits(narrow: Any, wide: Any) -> bool:
    """Return whether each value of `narrow` is one of `wide`, as far as can be told here."""
    if narrow == wide or Any in {narrow, wide} or TypeVar in {type(narrow), type(wide)}:
        return True
    if members := members_of(narrow):
        return all(_fits(member, wide) for member in members)
    if members := members_of(wide):
        return any(_fits(narrow, member) for member in members)
    origin, above = get_origin(narrow) or narrow, get_origin(wide) or wide
    if origin is int and above is float:
        return True
    if not (isinstance(origin, type) and isinstance(above, type)):
        return False
    if getattr(above, "_is_protocol", False):
        return True  # of structure: that is pyright's to judge
    pairs = zip(get_args(narrow), get_args(wide), strict=False)
    return issubclass(origin, above) and all(_fits(one, other) for one, other in pairs)
