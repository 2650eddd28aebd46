"""A foreign ASGI application under a path."""

import inspect
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.types import Receive, Scope, Send

from isthmus.errors import ConfigError
from isthmus.services.declared import DeclaredMount
from isthmus.services.layers.body_limit import BodyLimit
from isthmus.services.serving.lifespan import Lifespan

__all__ = ["LIMIT", "Foreign", "Mount"]

Foreign = Callable[[Any, Any, Any], Awaitable[None]]
"""An ASGI application, with whatever hints its framework gives it."""
LIMIT = 100 << 20
"""Largest body that reaches a mounted application, in bytes, unless the mount says more."""

OURS = frozenset({"app", "app_root_path", "endpoint", "path_params", "route", "router"})
"""What Starlette's routing notes in a scope: of our routes, not of the application's, which
would look for its own in them."""


class Mount:
    """`application` answers everything below `path`, and sees it as its root."""

    def __init__(self, path: str, application: Foreign, *, body_limit: int = LIMIT) -> None:
        if not path.startswith("/") or path.endswith("/") or "{" in path:
            raise ConfigError(f"mount path {path!r}: expected as '/legacy', without parameters")
        if not isinstance(body_limit, int) or body_limit < 0:  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ConfigError(f"mount {path}: body_limit={body_limit!r}: expected 0 bytes or more")
        _refuse_unless_asgi(path, application)
        self.path, self._application = path, application
        self._bounded = BodyLimit(application, limit=body_limit)
        self._state: dict[str, object] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        seen = {key: value for key, value in scope.items() if key not in OURS}
        await self._bounded({**seen, "state": dict(self._state)}, receive, send)

    def lifespan(self) -> Lifespan:
        """Return what starts and stops the application."""
        lifespan = Lifespan(self._application, self.path)
        self._state = lifespan.state
        return lifespan

    def record(self) -> DeclaredMount:
        kind: type = type(self._application)
        name = getattr(self._application, "__qualname__", kind.__qualname__)
        module = getattr(self._application, "__module__", kind.__module__)
        return DeclaredMount(name=self.path, application=f"{module}:{name}")


def _refuse_unless_asgi(path: str, application: object) -> None:
    """Raises ConfigError for what cannot be called as ASGI has it, as far as it can be seen."""
    kind = type(application).__qualname__
    if not callable(application):
        raise ConfigError(f"mount {path}: {kind} is no ASGI application; an App gives app.asgi()")
    try:
        inspect.signature(application).bind({}, None, None)
    except TypeError as error:
        raise ConfigError(
            f"mount {path}: {kind} does not take (scope, receive, send) as ASGI applications do; "
            "one of WSGI, as Flask, can be wrapped: a2wsgi.WSGIMiddleware(application)"
        ) from error
    except ValueError:
        return  # one whose signature cannot be read
