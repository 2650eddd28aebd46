"""Declaring an adapter: what stands behind `app.adapter`."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator, Mapping
from typing import TypeVar

from isthmus.errors import ConfigError
from isthmus.handling.declarations import Declarations
from isthmus.resilience.policy import Policy
from isthmus.services.adapter.adapter import Adapter

__all__ = ["Implementation", "adapter", "adapter_of"]

P = TypeVar("P")

Implementation = Callable[..., P | Awaitable[P] | AsyncIterator[P] | Iterator[P]]
"""A class, or a function that returns it, or yields it; async or not."""

_NAME = re.compile(r"[a-z][a-z0-9_-]*")
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def adapter(
    declared: Declarations,
    interface: type[P],
    implementations: Mapping[str, Implementation[P]],
    *,
    name: str = "",
    use: str = "",
    policy: Policy | None = None,
    raises: Collection[type[Exception]] = (),
) -> P:
    """Return what is called as `interface` says, and leads to the implementation that is chosen.

    Raises:
        ConfigError: An implementation does not fit, `use` is none of them, or a name can't be.
    """
    if not implementations:
        raise ConfigError(f"adapter({interface.__name__}): give implementations, by their names")
    for wrong in (each for each in implementations if not _NAME.fullmatch(each)):
        raise ConfigError(
            f"adapter({interface.__name__}): {wrong!r} can't be a name; use small letters, digits, "
            "- and _, as configuration will"
        )
    if use and use not in implementations:
        known = ", ".join(implementations)
        raise ConfigError(f"adapter({interface.__name__}, use={use!r}): there are {known}")
    made = Adapter(
        declared,
        interface,
        implementations,
        name=name or _HUMP.sub("_", interface.__name__).lower(),
        use=use or (next(iter(implementations)) if len(implementations) == 1 else ""),
        policy=policy,
        raises=raises,
    )
    declared.declare(made.record())
    declared.provide(interface, made)
    declared.configure_by(made.choice)
    return made.proxy


def adapter_of(declared: Declarations, interface: type) -> Adapter:
    """Return the adapter of an interface.

    Raises:
        ConfigError: There is none.
    """
    found = declared.resources.get(interface)
    if isinstance(found, Adapter):
        return found
    all_of = (each for each in declared.resources.values() if isinstance(each, Adapter))
    known = ", ".join(each.interface.name for each in all_of) or "none"
    raise ConfigError(f"no adapter of {interface.__name__} is declared; there are of: {known}")
