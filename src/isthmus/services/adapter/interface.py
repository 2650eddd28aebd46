"""What an application asks of its providers: the methods of a class, and who fits them."""

import inspect
from collections.abc import Callable, Iterator
from difflib import get_close_matches
from types import FunctionType
from typing import Any, Generic, Protocol

from isthmus.errors import ConfigError
from isthmus.services.adapter.fitting import misfit

__all__ = ["Interface"]

ALMOST = 0.8
"""How alike a method's name is to one of the interface that may be meant; 1 is equal."""


def _blank() -> None: ...


def _told() -> None:
    """Say something."""


async def _blank_async() -> None: ...


async def _told_async() -> None:
    """Say something."""


EMPTY = frozenset(each.__code__.co_code for each in (_blank, _told, _blank_async, _told_async))
"""What the bodies of methods are compiled to that do nothing."""


class Interface:
    """A Protocol or an abstract class, as it was declared."""

    def __init__(self, kind: type) -> None:
        """Raises ConfigError if it has no methods."""
        if not inspect.isclass(kind):
            raise ConfigError(f"adapter({kind!r}): expected a class, a Protocol or an abstract one")
        self.kind, self.name = kind, kind.__name__
        self.methods = dict(_methods(kind))
        if not self.methods:
            raise ConfigError(f"adapter({self.name}): it has no methods that could be called")

    def refuse(self, implementation: type) -> None:
        """Raises ConfigError, naming all that does not fit, if it does not."""
        if faults := list(self._faults(implementation)):
            lines = "".join(f"\n  {fault}" for fault in faults)
            raise ConfigError(f"{implementation.__name__} is no {self.name}:{lines}")

    def unknown(self, name: str) -> AttributeError:
        """Return what is said to who asks for a method that there is not."""
        hint = get_close_matches(name, self.methods, n=1, cutoff=ALMOST)
        known = f"did you mean {hint[0]!r}?" if hint else f"there are {', '.join(self.methods)}"
        return AttributeError(f"{self.name} has no method {name!r}; {known}")

    def _faults(self, implementation: type) -> Iterator[str]:
        for name, asked in self.methods.items():
            given = inspect.getattr_static(implementation, name, None)
            if given is None or self._is_empty(given, asked):
                yield f"{name}{_signature(asked)} is missing"
            elif (why := misfit(given, asked)) is not None:
                yield f"{name}{_signature(given)} does not fit {name}{_signature(asked)}: {why}"
        yield from self._mistyped(implementation)

    def _is_empty(self, given: object, asked: Callable[..., Any]) -> bool:
        """Whether it is only inherited from the interface, which does nothing there."""
        if given is not asked:
            return False
        return getattr(asked, "__isabstractmethod__", False) or _does_nothing(asked)

    def _mistyped(self, implementation: type) -> Iterator[str]:
        """Yield public methods that the interface has not, but almost."""
        absent = [
            name for name in self.methods if not hasattr(implementation, name)
        ] or self.methods
        for name, _ in _methods(implementation):
            if name not in self.methods:
                for meant in get_close_matches(name, absent, n=1, cutoff=ALMOST):
                    yield f"{name}: no method of {self.name}; {meant} was meant?"


def _does_nothing(method: Any) -> bool:
    code = method.__code__
    return code.co_code in EMPTY and set(code.co_consts) <= {None, method.__doc__}


def _methods(kind: type) -> Iterator[tuple[str, Callable[..., Any]]]:
    seen = set[str]()
    for base in kind.__mro__:
        if base in {object, Protocol, Generic}:
            continue
        for name, value in vars(base).items():
            if isinstance(value, FunctionType) and not name.startswith("_") and name not in seen:
                seen.add(name)
                yield name, value


def _signature(method: Any) -> str:
    method = getattr(method, "__func__", method)
    return str(inspect.signature(method)) if callable(method) else f" = {method!r}"
