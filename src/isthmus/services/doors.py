"""Declaring routes and mounts: what stands behind `app.post` and its like."""

import inspect
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, TypeVar, Unpack

from starlette.types import ASGIApp

from isthmus.errors import ConfigError
from isthmus.handling.declarations import Declarations
from isthmus.handling.host import Host
from isthmus.services.layers.idempotency import Idempotency, Idempotent
from isthmus.services.rest.options import RouteWords, route_options
from isthmus.services.rest.route import Route
from isthmus.services.serving.health import Health
from isthmus.services.serving.mount import LIMIT as MOUNT_LIMIT
from isthmus.services.serving.mount import Foreign, Mount
from isthmus.services.serving.served import served
from isthmus.services.serving.server import HttpServer
from isthmus.services.serving.site import Site

__all__ = ["add_middleware", "application", "mount", "route"]

Function = TypeVar("Function", bound=Callable[..., Any])


def route(
    declared: Declarations, method: str, path: str, **words: Unpack[RouteWords]
) -> Callable[[Function], Function]:
    """Have the decorated function answer `method` of `path`.

    Raises:
        ConfigError: The path is malformed or taken, an option is out of its range, or a
            parameter cannot be given.
    """
    if not isinstance(path, str):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ConfigError(f'write @app.{method.lower()}("/path"), with the path that is answered')
    options = route_options(f"{method} {path}", **words)

    def attached(function: Function) -> Function:
        made = Route(method, path, function, options=options, declared=declared)

        async def opening(host: Host) -> None:
            declared.shared(Site).add(made, host)

        declared.declare(made.record())
        declared.open_with(opening)
        declared.work(HttpServer(declared))
        return function

    return attached


def mount(
    declared: Declarations,
    path: str,
    application: Foreign,
    *,
    idempotency: Idempotency | None = None,
    body_limit: int | None = None,
) -> None:
    """Have a foreign ASGI application answer everything below `path`.

    Raises:
        ConfigError: It is none, or an option cannot be meant.
    """
    if idempotency is not None and not isinstance(idempotency, Idempotency):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ConfigError(
            f"mount {path}: idempotency={idempotency!r}: expected isthmus.services.Idempotency()"
        )
    made = Mount(path, application, body_limit=MOUNT_LIMIT if body_limit is None else body_limit)

    async def opening(host: Host) -> None:
        worn: ASGIApp = made
        if idempotency is not None:
            worn = Idempotent(worn, host=host, options=idempotency)
        declared.shared(Site).mount(made, worn=worn)

    declared.declare(made.record())
    declared.open_with(opening)
    declared.work(HttpServer(declared))


def add_middleware(declared: Declarations, kind: Callable[..., ASGIApp], **options: Any) -> None:
    """Put `kind(application, **options)` around all that is served."""
    takes_host = "host" in inspect.signature(kind).parameters and "host" not in options

    async def opening(host: Host) -> None:
        own = options | {"host": host} if takes_host else options
        declared.shared(Site).wrap(opening, lambda application: kind(application, **own))

    declared.open_with(opening)


def application(declared: Declarations) -> AbstractAsyncContextManager[ASGIApp]:
    """Return what gives all that the open App serves as one ASGI application."""
    host = declared.host
    return served(declared, host, Health(host))
