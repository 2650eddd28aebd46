"""What callers hold: it is called as the interface says, and leads to whoever fulfils it now."""

import functools
import inspect
from collections.abc import Callable
from typing import Any, NoReturn, Protocol

from isthmus.services.adapter.interface import Interface

__all__ = ["Behind", "behind", "proxy_of"]

BEHIND = "_isthmus_adapter"


class Behind(Protocol):
    """Who knows what a name leads to now."""

    def attribute(self, name: str) -> Any:
        """Return a method as it is called now, or another attribute of the implementation.

        Raises:
            ConfigError: It is not open.
        """
        ...


class _Proxy:
    """Its methods are in its `__dict__`."""

    _isthmus_interface: Interface

    @property
    def __class__(self) -> type:  # pyright: ignore[reportIncompatibleMethodOverride]
        return self._isthmus_interface.kind

    def __getattr__(self, name: str) -> NoReturn:
        raise self._isthmus_interface.unknown(name)

    def __repr__(self) -> str:
        return f"<adapter {self._isthmus_interface.name}>"


def proxy_of(interface: Interface, adapter: Behind) -> Any:
    """Return what looks like the interface; its methods keep their names and signatures."""
    proxy = _Proxy()
    methods = {name: _leading(adapter, name, of) for name, of in interface.methods.items()}
    vars(proxy).update(methods, _isthmus_interface=interface, **{BEHIND: adapter})
    return proxy


def behind(proxy: object) -> Any:
    """Return the adapter that a proxy belongs to; None if it is none."""
    return vars(proxy).get(BEHIND) if type(proxy) is _Proxy else None


def _leading(adapter: Behind, name: str, asked: Callable[..., Any]) -> Callable[..., Any]:
    if inspect.iscoroutinefunction(asked):

        async def leading_async(*args: Any, **kwargs: Any) -> Any:
            return await adapter.attribute(name)(*args, **kwargs)

        leading: Callable[..., Any] = leading_async
    else:

        def leading_plain(*args: Any, **kwargs: Any) -> Any:
            return adapter.attribute(name)(*args, **kwargs)

        leading = leading_plain
    functools.update_wrapper(leading, asked)
    leading.__signature__ = _without_self(asked)  # pyright: ignore[reportFunctionMemberAccess]
    return leading


def _without_self(asked: Callable[..., Any]) -> inspect.Signature:
    signature = inspect.signature(asked)
    return signature.replace(parameters=list(signature.parameters.values())[1:])
