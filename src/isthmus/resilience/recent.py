"""What was used last, up to a number; and from a call's arguments to the name it is kept under."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from functools import partial
from types import BuiltinMethodType, FunctionType, MethodType
from typing import Any, Generic, TypeVar, cast

from isthmus.errors import ConfigError

__all__ = ["Key", "KeyOf", "Recent", "function_key", "key_of"]

V = TypeVar("V")

Key = Callable[..., Hashable]
"""Called with a call's arguments; calls of an equal key are the same call."""
KeyOf = Callable[[tuple[Any, ...], Mapping[str, Any]], Hashable]


class Recent(Generic[V]):
    """A mapping that forgets what was not used for longest. Safe from any thread."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept: OrderedDict[Hashable, V] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, key: Hashable) -> V | None:
        with self._lock:
            found = self._kept.get(key)
            if found is not None:
                self._kept.move_to_end(key)
            return found

    def put(self, key: Hashable, value: V) -> None:
        with self._lock:
            self._kept[key] = value
            self._kept.move_to_end(key)
            self._shrink()

    def resize(self, most: int) -> None:
        """Keep so many from now on."""
        with self._lock:
            self._most = most
            self._shrink()

    def _shrink(self) -> None:
        while len(self._kept) > self._most:
            self._kept.popitem(last=False)

    def forget(self, meant: Callable[[Any], bool]) -> None:
        """Forget every key that is `meant`."""
        with self._lock:
            for key in [key for key in self._kept if meant(key)]:
                del self._kept[key]

    def clear(self) -> None:
        with self._lock:
            self._kept.clear()


def key_of(strategy: str, key: Key | None) -> KeyOf:
    """Return how `strategy` finds a call's key: by `key`, or its arguments as they are.

    Raises:
        ConfigError: (what is returned does) The key can't be hashed.
    """

    def keyed(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Hashable:
        if key is not None:
            found = key(*args, **kwargs)
        else:
            found = (args, tuple(sorted(kwargs.items()))) if kwargs else args
        try:
            hash(found)
        except TypeError as error:
            raise ConfigError(
                f"{strategy} tells calls apart by their arguments, and of these one can't be "
                f"hashed ({error}); say what to go by, as {strategy}(key=lambda order: order.id)"
            ) from error
        return found

    return keyed


def function_key(fn: object) -> Hashable:
    """Return what tells a function from others, however often it is bound.

    A method is that of its object, and a partial is its function with its arguments. Of a
    lambda, or a function within a function, each one made is another. What is returned keeps
    `fn` alive, so that no other can take its place.
    """
    if isinstance(fn, FunctionType | MethodType | BuiltinMethodType):
        return fn
    one: object = fn
    if type(fn) is partial:
        made = cast("partial[Any]", one)
        found = function_key(made.func), made.args, tuple(sorted(made.keywords.items()))
        if _is_hashable(found):
            return found
    return _Itself(one)


class _Itself:
    """Equal to what stands for the very same object, whatever that holds to be equal."""

    __slots__ = ("_one",)

    def __init__(self, one: object) -> None:
        self._one = one

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Itself) and other._one is self._one

    def __hash__(self) -> int:
        return id(self._one)


def _is_hashable(value: object) -> bool:
    try:
        hash(value)
    except TypeError:
        return False
    return True
